//! Shamir's secret sharing over GF(2^8): a data key for several key groups.
//!
//! The field is that of AES (reduction polynomial 0x11B). Each byte of the secret is the constant term of
//! a random polynomial of its own; a share is the values of all these polynomials at one x, with x as its
//! last byte: 1 for the first group, 2 for the second. Whether shares belong together cannot be seen; the
//! wrong ones combine to a wrong key.

use std::collections::BTreeSet;

use super::random::{self, NoRandomness};
use crate::secret::Secret;

/// Most groups: x is one byte and not 0.
const MOST: usize = 255;

/// A secret cannot be split so, or the shares cannot be combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// A threshold above the number of shares.
    #[error("parts cannot be less than threshold")]
    ThresholdAboveShares,
    /// A threshold of 1 would give every group the secret itself.
    #[error("threshold must be at least 2")]
    ThresholdTooLow,
    /// More shares than there are values of x.
    #[error("parts cannot exceed 255")]
    TooManyShares,
    /// Nothing to split.
    #[error("cannot split an empty secret")]
    Empty,
    /// One share alone, or none.
    #[error("less than two parts cannot be used to reconstruct the secret")]
    TooFewShares,
    /// A share without a byte of a secret in it.
    #[error("parts must be at least two bytes")]
    TooShort,
    /// Shares of secrets of different lengths.
    #[error("all parts must be the same length")]
    UnequalLengths,
    /// Two shares with the same x.
    #[error("duplicate part detected")]
    Repeated,
    /// No coefficients can be drawn.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Splits `secret` into `count` shares, any `threshold` of which give it back. Each share is one byte
/// longer than the secret.
///
/// # Errors
/// Unless 2 ≤ `threshold` ≤ `count` ≤ 255 and the secret has a byte; when there is no randomness.
pub fn split(secret: &Secret, count: usize, threshold: usize) -> Result<Vec<Secret>, ShareError> {
    if count < threshold {
        return Err(ShareError::ThresholdAboveShares);
    }
    if count > MOST {
        return Err(ShareError::TooManyShares);
    }
    if threshold < 2 {
        return Err(ShareError::ThresholdTooLow);
    }
    if secret.is_empty() {
        return Err(ShareError::Empty);
    }
    // Row k holds the coefficients of x to the power of threshold - 1 - k, for all bytes.
    let coefficients = random::secret((threshold - 1) * secret.len())?;
    let xs = 1..=u8::try_from(count).unwrap_or(u8::MAX);
    Ok(xs.map(|x| share(secret, &coefficients, x)).collect())
}

/// The values at `x`, by Horner's rule, and `x`.
fn share(secret: &Secret, coefficients: &Secret, x: u8) -> Secret {
    let mut values = vec![0; secret.len() + 1];
    let rows = coefficients.expose().chunks_exact(secret.len());
    for row in rows.chain(std::iter::once(secret.expose())) {
        for (value, coefficient) in values.iter_mut().zip(row) {
            *value = multiply(*value, x) ^ coefficient;
        }
    }
    values[secret.len()] = x;
    Secret::new(values)
}

/// The secret that `shares` are of, in any order; all of them are used. Too few, or wrong ones, give a
/// wrong secret.
///
/// # Errors
/// With fewer than two shares, shares of unequal length, or two with the same x.
pub fn combine(shares: &[Secret]) -> Result<Secret, ShareError> {
    let [first, _, ..] = shares else {
        return Err(ShareError::TooFewShares);
    };
    if first.len() < 2 {
        return Err(ShareError::TooShort);
    }
    if shares.iter().any(|share| share.len() != first.len()) {
        return Err(ShareError::UnequalLengths);
    }
    let points: Vec<(u8, &[u8])> = shares.iter().filter_map(point).collect();
    let xs: BTreeSet<u8> = points.iter().map(|(x, _)| *x).collect();
    if xs.len() != shares.len() {
        return Err(ShareError::Repeated);
    }
    let mut secret = vec![0; first.len() - 1];
    for (x, values) in &points {
        let weight = weight(*x, &xs);
        for (byte, value) in secret.iter_mut().zip(*values) {
            *byte ^= multiply(*value, weight);
        }
    }
    Ok(Secret::new(secret))
}

/// A share as x and the values there.
fn point(share: &Secret) -> Option<(u8, &[u8])> {
    share.expose().split_last().map(|(x, values)| (*x, values))
}

/// The Lagrange polynomial of `x` among `xs`, at 0: the product of `other / (other - x)`. Subtraction is
/// the exclusive or here.
fn weight(x: u8, xs: &BTreeSet<u8>) -> u8 {
    let others = xs.iter().filter(|other| **other != x);
    others.fold(1, |product, other| {
        multiply(product, multiply(*other, inverse(other ^ x)))
    })
}

/// `a · b` in GF(2^8), with the same steps whatever the values are: no table is looked up and no branch
/// taken by a secret.
fn multiply(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0_u8, |product, bit| {
        let reduce = 0_u8.wrapping_sub(product >> 7) & 0x1b;
        let add = 0_u8.wrapping_sub(b >> bit & 1) & a;
        (product << 1) ^ reduce ^ add
    })
}

/// `1 / a`, which is a^254; 0 for 0.
fn inverse(a: u8) -> u8 {
    // 254 is 11111110 in binary: seven times square and multiply, then a square.
    let power_127 = (0..6).fold(a, |power, _| multiply(multiply(power, power), a));
    multiply(power_127, power_127)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};
    use serde_json::Value;

    use super::*;

    fn hex(text: &Value) -> Secret {
        let text = text.as_str().unwrap().as_bytes();
        let digits = text
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        Secret::new(
            digits
                .map(|pair| u8::from_str_radix(pair, 16).unwrap())
                .collect(),
        )
    }

    #[test]
    fn known_answers_of_the_go_implementation_hold() {
        let answers: Value =
            serde_json::from_str(include_str!("../../tests/vectors/known-answers.json")).unwrap();
        let answer = &answers["shamir"];
        let shares: Vec<Secret> = answer["shares"]
            .as_array()
            .unwrap()
            .iter()
            .map(hex)
            .collect();
        let key = hex(&answer["data_key"]);
        for two in [[0, 1], [1, 2], [2, 0]] {
            let two = two.map(|at: usize| shares[at].clone());
            assert_eq!(combine(&two), Ok(key.clone()));
        }
        assert_eq!(combine(&shares), Ok(key));
    }

    #[test]
    fn multiplication_is_that_of_the_field_of_aes() {
        // FIPS 197, 4.2: {57} · {83} = {c1}, {57} · {13} = {fe}.
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1, "{a}");
        }
        assert_eq!(inverse(0), 0);
    }

    #[test]
    fn impossible_thresholds_and_counts_are_refused() {
        let key = Secret::new(vec![7; 32]);
        for (count, threshold, error) in [
            (3, 4, ShareError::ThresholdAboveShares),
            (3, 1, ShareError::ThresholdTooLow),
            (3, 0, ShareError::ThresholdTooLow),
            (256, 2, ShareError::TooManyShares),
        ] {
            assert_eq!(split(&key, count, threshold), Err(error));
        }
        assert_eq!(
            split(&Secret::new(Vec::new()), 2, 2),
            Err(ShareError::Empty)
        );
        assert_eq!(split(&key, 255, 255).unwrap().len(), 255);
    }

    #[test]
    fn shares_that_cannot_belong_together_are_refused() {
        let shares = split(&Secret::new(vec![7; 32]), 3, 2).unwrap();
        let twice = [shares[0].clone(), shares[0].clone()];
        assert_eq!(combine(&twice), Err(ShareError::Repeated));
        assert_eq!(combine(&shares[..1]), Err(ShareError::TooFewShares));
        assert_eq!(combine(&[]), Err(ShareError::TooFewShares));
        let short = [shares[0].clone(), Secret::new(vec![1, 2])];
        assert_eq!(combine(&short), Err(ShareError::UnequalLengths));
        let empty = [Secret::new(vec![1]), Secret::new(vec![2])];
        assert_eq!(combine(&empty), Err(ShareError::TooShort));
    }

    fn splits() -> impl Strategy<Value = (Vec<u8>, usize, usize)> {
        (2_usize..20).prop_flat_map(|count| {
            (
                prop::collection::vec(any::<u8>(), 1..40),
                Just(count),
                2..=count,
            )
        })
    }

    proptest! {
        #[test]
        fn any_sufficient_subset_in_any_order_gives_the_secret_back(
            (secret, picked) in splits().prop_flat_map(|(secret, count, threshold)| {
                let shares = split(&Secret::new(secret.clone()), count, threshold).unwrap();
                let picked = subsequence(shares, threshold..=count).prop_shuffle();
                (Just(secret), picked)
            })
        ) {
            let combined = combine(&picked).unwrap();
            prop_assert_eq!(combined.expose(), secret.as_slice());
        }

        #[test]
        fn a_share_is_one_byte_longer_and_ends_with_its_number((secret, count, threshold) in splits()) {
            let shares = split(&Secret::new(secret.clone()), count, threshold).unwrap();
            for (at, share) in shares.iter().enumerate() {
                prop_assert_eq!(share.len(), secret.len() + 1);
                prop_assert_eq!(usize::from(*share.expose().last().unwrap()), at + 1);
            }
        }

        #[test]
        fn one_share_too_few_tells_nothing(secret in select(vec![0_u8, 0xff]), count in 3_usize..6) {
            // With 32 bytes a chance hit is out of the question.
            let secret = Secret::new(vec![secret; 32]);
            let shares = split(&secret, count, count).unwrap();
            prop_assert_ne!(combine(&shares[1..]).unwrap(), secret);
        }
    }
}
