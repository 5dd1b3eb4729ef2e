//! File formats: text to tree and back, losslessly.
