//! Floats in the spellings of other languages: the fewest digits that read back, laid out as ECMAScript
//! or Go do.

use super::scalar;
use crate::tree::{Kind, Leaf};

/// The number of a float, as a file or a decrypted value spells it; `None` when it is none.
#[must_use]
pub fn float_of(leaf: &Leaf) -> Option<f64> {
    let text = leaf.text.expose_text()?;
    let normal = scalar::normal_form(Kind::Float, text);
    scalar::parse_float(normal.as_deref().unwrap_or(text))
}

/// As ECMAScript prints a finite number: an exponent below 1e-6 and from 1e21 on, `-0` for the negative
/// zero.
#[must_use]
pub fn ecmascript(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return number.to_string();
    }
    let (digits, exponent) = scientific(number);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{}", exponent.unsigned_abs())
}

/// As Go prints a number with the verb `letter`, `g` or `G`, in the fewest digits: an exponent of two
/// digits or more below 1e-4 and from 1e6 on; `NaN`, `+Inf`, `-Inf`.
#[must_use]
pub fn go_general(number: f64, letter: char) -> String {
    let magnitude = number.abs();
    if !number.is_finite() {
        return scalar::float_form(number);
    }
    let (digits, exponent) = scientific(number);
    if magnitude == 0.0 || (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let letter = if letter == 'G' { 'E' } else { 'e' };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{letter}{sign}{:02}", exponent.unsigned_abs())
}

/// Like [`go_general`] with `G`, but a number without point and exponent gets `.0`: how SOPS writes
/// floats where all values are text.
#[must_use]
pub fn go_with_point(number: f64) -> String {
    let mut text = go_general(number, 'G');
    if number.is_finite() && !text.contains(['.', 'E']) {
        text.push_str(".0");
    }
    text
}

/// The fewest digits of a finite number with a point behind the first, and its exponent.
fn scientific(number: f64) -> (String, i32) {
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_owned(), exponent.parse().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_the_real_sops_prints_them() {
        for (number, json, general, point) in [
            (1.5, "1.5", "1.5", "1.5"),
            (-0.0, "-0", "-0", "-0.0"),
            (1e-7, "1e-7", "1e-07", "1E-07"),
            (1e5, "100000", "100000", "100000.0"),
            (
                123_456_789.125,
                "123456789.125",
                "1.23456789125e+08",
                "1.23456789125E+08",
            ),
            (1e20, "100000000000000000000", "1e+20", "1E+20"),
            (1e-6, "0.000001", "1e-06", "1E-06"),
            (0.000_001_234, "0.000001234", "1.234e-06", "1.234E-06"),
            (5e-324, "5e-324", "5e-324", "5E-324"),
            (1e308, "1e+308", "1e+308", "1E+308"),
            (1e21, "1e+21", "1e+21", "1E+21"),
            (2.0, "2", "2", "2.0"),
            (1e6, "1000000", "1e+06", "1E+06"),
            (0.001, "0.001", "0.001", "0.001"),
            (0.0001, "0.0001", "0.0001", "0.0001"),
        ] {
            assert_eq!(ecmascript(number), json);
            assert_eq!(go_general(number, 'g'), general);
            assert_eq!(go_with_point(number), point);
        }
        assert_eq!(go_with_point(f64::NEG_INFINITY), "-Inf");
    }
}
