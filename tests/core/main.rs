//! Tests of the whole crate from outside, without a cluster: the layers, files from elsewhere.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod django;
#[cfg(test)]
mod document;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod real_sops;
#[cfg(test)]
mod sealed_files;
#[cfg(test)]
mod vectors;
