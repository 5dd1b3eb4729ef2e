//! Cryptography: what is encrypted and authenticated, by what, and with which keys.
