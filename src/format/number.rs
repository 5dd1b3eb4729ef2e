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
        return plain(number);
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
        return plain(number);
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

/// A finite number without an exponent, in the fewest digits that read back.
#[must_use]
pub fn plain(number: f64) -> String {
    let usual = number.to_string();
    match even_neighbour(number) {
        // Both have as many digits, so only the last one differs.
        Some(digit) => {
            let place = usual.rfind(|each: char| each.is_ascii_digit() && each != '0');
            let place = place.unwrap_or_default();
            format!("{}{digit}{}", &usual[..place], &usual[place + 1..])
        }
        None => usual,
    }
}

/// The fewest digits of a finite number with a point behind the first, and its exponent.
pub(super) fn scientific(number: f64) -> (String, i32) {
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut digits = digits.to_owned();
    if let Some(digit) = even_neighbour(number) {
        digits.pop();
        digits.push(digit);
    }
    (digits, exponent.parse().unwrap_or_default())
}

/// The last of the fewest digits, where it has to be another one than Rust takes: a number may lie exactly
/// between two texts of the fewest digits. Of these Go takes the even one, Rust the upper one.
fn even_neighbour(number: f64) -> Option<char> {
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e')?;
    let last = digits.chars().last()?.to_digit(10)?;
    if last % 2 == 0 {
        return None;
    }
    let lower = char::from_digit(last - 1, 10)?;
    let other = format!("{}{lower}e{exponent}", &digits[..digits.len() - 1]);
    if other.parse() != Ok(number) {
        return None;
    }
    // No number has more digits than that, so this is its exact value.
    let exact = format!("{number:.780e}");
    let rest = exact
        .strip_prefix(&other[..digits.len()])?
        .split('e')
        .next()?;
    (rest.strip_prefix('5')?.bytes().all(|byte| byte == b'0')).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_texts_that_are_equally_near_the_even_one_is_taken() {
        // What Go prints, with and without an exponent.
        for (number, text, scientific_digits) in [
            (
                -8_553_337_453_917_113.0 / 4.0,
                "-2138334363479278.2",
                "-2.1383343634792782",
            ),
            (
                8_553_337_453_917_115.0 / 4.0,
                "2138334363479278.8",
                "2.1383343634792788",
            ),
            (0.3, "0.3", "3"),
            (
                9_007_199_254_740_993.0,
                "9007199254740992",
                "9.007199254740992",
            ),
        ] {
            assert_eq!(plain(number), text);
            assert_eq!(scientific(number).0, scientific_digits);
        }
    }

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
