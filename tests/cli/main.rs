//! The programs as a person uses them, in an empty home, without a cluster.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod edit;
#[cfg(test)]
mod encrypt;
#[cfg(test)]
mod help;
#[cfg(test)]
mod run;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod start;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod values;
