//! What a plain scalar means, and the one normal form of each type.
//!
//! Resolution follows go-yaml 3, which SOPS uses: a mixture of YAML 1.1 and 1.2 (`017` is 15, `yes` is
//! text, dates are times). The normal form of a value is what SOPS encrypts and authenticates.

use jiff::civil::{Date, DateTime, Time};

use crate::tree::Kind;

/// The type of a plain scalar; `None` for a whole number between 2^63 and 2^64, which SOPS refuses.
#[must_use]
pub fn resolve(plain: &str) -> Option<Kind> {
    let kind = match plain {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Kind::Bool,
        _ => match plain.as_bytes().first() {
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => resolve_number(plain)?,
            _ => Kind::Text,
        },
    };
    Some(kind)
}

fn resolve_number(plain: &str) -> Option<Kind> {
    if special_float(plain).is_some() {
        return Some(Kind::Float);
    }
    if plain.starts_with('.') {
        return Some(if decimal_float(plain).is_some() {
            Kind::Float
        } else {
            Kind::Text
        });
    }
    if parse_timestamp(plain).is_some() {
        return Some(Kind::Time);
    }
    match yaml_integer(plain) {
        Some(Integer::Fits(_)) => Some(Kind::Int),
        Some(Integer::Unsigned) => None,
        None if plain_float(plain).is_some() => Some(Kind::Float),
        None => Some(Kind::Text),
    }
}

/// The normal form of a plain scalar of type `kind`: decimal digits, `True`, digits without an
/// exponent, RFC 3339. `None` when the text is not of that type; text is its own normal form.
#[must_use]
pub fn normal_form(kind: Kind, plain: &str) -> Option<String> {
    match kind {
        Kind::Null => Some(String::new()),
        Kind::Text => Some(plain.to_owned()),
        Kind::Bool => Some(
            if plain.eq_ignore_ascii_case("true") {
                "True"
            } else {
                "False"
            }
            .to_owned(),
        ),
        Kind::Int => match yaml_integer(plain)? {
            Integer::Fits(number) => Some(number.to_string()),
            Integer::Unsigned => None,
        },
        Kind::Float => special_float(plain)
            .or_else(|| plain_float(plain))
            .map(float_form),
        Kind::Time => parse_timestamp(plain),
    }
}

/// A float without exponent, in the fewest digits that read back as the same number.
#[must_use]
pub fn float_form(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        super::number::plain(number)
    }
}

/// Reads an int as Go's `Atoi` does: sign and digits within 64 bits.
#[must_use]
pub fn parse_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Reads a bool as Go's `ParseBool` does.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Reads a float as Go's `ParseFloat` does: decimal or hexadecimal, infinities, not-a-number.
#[must_use]
pub fn parse_float(text: &str) -> Option<f64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let lower = rest.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return Some(f64::NAN),
        _ => {}
    }
    let number = match lower.strip_prefix("0x") {
        Some(digits) => hexadecimal_float(digits)?,
        None => decimal_float(&without_underscores(&lower)?)?,
    };
    Some(sign * number)
}

/// Reads a full RFC 3339 date and time, and gives its normal form: no trailing zeros in the fraction,
/// the offset kept. `None` for anything else.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let date_ends_in = *bytes.get(10)?;
    let two_digits_each = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    if !two_digits_each
        || date_ends_in != b'T'
        || bytes.get(13) != Some(&b':')
        || bytes.get(16) != Some(&b':')
    {
        return None;
    }
    parse_timestamp(text)
}

enum Integer {
    Fits(i64),
    Unsigned,
}

/// Whole numbers of go-yaml: decimal, `0x`, `0o`, `0b`, a leading `0` for octal; underscores anywhere.
fn yaml_integer(text: &str) -> Option<Integer> {
    let plain = text.replace('_', "");
    let (negative, rest) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain.as_str()),
    };
    let lower = rest.to_ascii_lowercase();
    let (digits, radix) = match lower.as_bytes() {
        [b'0', b'x', ..] => (&lower[2..], 16),
        [b'0', b'o', ..] => (&lower[2..], 8),
        [b'0', b'b', ..] => (&lower[2..], 2),
        [b'0', _, ..] => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    if let Ok(number) = i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        return Some(Integer::Fits(number));
    }
    let unsigned = !negative && plain.starts_with(|first: char| first != '+');
    (unsigned && u64::from_str_radix(digits, radix).is_ok()).then_some(Integer::Unsigned)
}

fn special_float(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A decimal float after go-yaml took the underscores out.
fn plain_float(text: &str) -> Option<f64> {
    if text.starts_with('.') {
        return decimal_float(text);
    }
    decimal_float(&text.replace('_', ""))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` with a finite value.
fn decimal_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    if !all_digits(whole)
        || !all_digits(fraction)
        || whole.len() + fraction.len() == 0
        || !exponent_fits
    {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// What follows `0x` in a hexadecimal float: digits, a point, and a mandatory binary exponent.
fn hexadecimal_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    // More digits than a float holds would need rounding by hand; nothing writes them.
    if digits.is_empty() || digits.len() > 13 {
        return None;
    }
    let number = u64::from_str_radix(&digits, 16).ok()?;
    let shift = parse_int(exponent)?.checked_sub(4 * i64::try_from(fraction.len()).ok()?)?;
    let number = number as f64 * 2f64.powi(i32::try_from(shift).ok()?);
    number.is_finite().then_some(number)
}

/// Takes underscores out that stand between digits; `None` when one stands elsewhere.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |place: Option<usize>| {
        place
            .and_then(|place| bytes.get(place))
            .is_some_and(u8::is_ascii_digit)
    };
    let misplaced = |(place, _)| !digit(usize::checked_sub(place, 1)) || !digit(Some(place + 1));
    (!text.match_indices('_').any(misplaced)).then(|| text.replace('_', ""))
}

/// The timestamps of go-yaml: a date; date and time with `T` or `t` and an offset; date and time with
/// one blank and no offset (then UTC). Gives RFC 3339.
fn parse_timestamp(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8
        || !bytes.iter().take(4).all(u8::is_ascii_digit)
        || bytes.get(4) != Some(&b'-')
    {
        return None;
    }
    let Some(place) = text.find(['T', 't', ' ']) else {
        return Some(rfc3339(civil_date(text)?.to_datetime(Time::midnight()), 0));
    };
    let date = civil_date(&text[..place])?;
    let (clock, offset) = match (bytes.get(place), &text[place + 1..]) {
        (Some(b' '), clock) => (clock, 0),
        (_, rest) => split_offset(rest)?,
    };
    Some(rfc3339(date.to_datetime(civil_time(clock)?), offset))
}

fn number<T: std::str::FromStr>(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && lengths.contains(&text.len())).then(|| text.parse().ok())?
}

fn civil_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Date::new(
        number(year, 4..=4)?,
        number(month, 1..=2)?,
        number(day, 1..=2)?,
    )
    .ok()
}

fn civil_time(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = match second.split_once(['.', ',']) {
        Some((second, fraction)) => (second, nanoseconds(fraction)?),
        None => (second, 0),
    };
    let second: i8 = number(second, 1..=2)?;
    // The civil type would take a leap second, Go does not.
    if second > 59 {
        return None;
    }
    Time::new(
        number(hour, 1..=2)?,
        number(minute, 1..=2)?,
        second,
        fraction,
    )
    .ok()
}

/// Nine digits of a fraction of any length.
fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction
        .chars()
        .chain(std::iter::repeat('0'))
        .take(9)
        .collect();
    digits.parse().ok()
}

/// Splits `12:00:00+02:00` into the clock and the offset in seconds.
fn split_offset(text: &str) -> Option<(&str, i32)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let place = text.rfind(['+', '-'])?;
    let (hours, minutes) = text[place + 1..].split_once(':')?;
    let (hours, minutes): (i32, i32) = (number(hours, 2..=2)?, number(minutes, 2..=2)?);
    if hours > 24 || minutes > 60 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Some((
        &text[..place],
        if text[place..].starts_with('-') {
            -seconds
        } else {
            seconds
        },
    ))
}

fn rfc3339(moment: DateTime, offset: i32) -> String {
    let fraction = match moment.subsec_nanosecond() {
        0 => String::new(),
        nanoseconds => format!(".{}", format!("{nanoseconds:09}").trim_end_matches('0')),
    };
    let zone = match offset {
        0 => "Z".to_owned(),
        seconds => {
            let sign = if seconds < 0 { '-' } else { '+' };
            let minutes = seconds.abs() / 60;
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}{zone}",
        moment.year(),
        moment.month(),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second(),
    )
}

/// Whether some reader of YAML 1.1 or 1.2 would take the plain scalar `text` for something else than
/// text. Errs on the side of yes.
#[must_use]
pub fn may_read_as_another_type(text: &str) -> bool {
    if resolve(text) != Some(Kind::Text) {
        return true;
    }
    let words = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "<<", "=",
    ];
    if words.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return true;
    }
    // Numbers, dates and base 60 of any dialect: they begin like a number and hold nothing else.
    // Two points make a version or an address.
    if text.matches('.').count() > 1 && !text.contains(':') {
        return text.bytes().all(|byte| byte == b'.');
    }
    let begins = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    begins
        && text
            .chars()
            .all(|each| each.is_ascii_hexdigit() || "+-.,:_xXoOTtZzpP ".contains(each))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(plain: &str) -> (Kind, String) {
        let kind = resolve(plain).unwrap();
        (kind, normal_form(kind, plain).unwrap())
    }

    #[test]
    fn whole_numbers_in_every_spelling_become_decimal() {
        for (plain, number) in [
            ("0", "0"),
            ("-1", "-1"),
            ("+7", "7"),
            ("0x1F", "31"),
            ("-0x1F", "-31"),
            ("0X1f", "31"),
            ("0o17", "15"),
            ("017", "15"),
            ("0b11", "3"),
            ("1_000", "1000"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
        ] {
            assert_eq!(read(plain), (Kind::Int, number.to_owned()), "{plain}");
        }
        assert_eq!(resolve("9223372036854775808"), None);
        assert_eq!(resolve("18446744073709551616"), Some(Kind::Float));
    }

    #[test]
    fn floats_lose_their_exponent() {
        for (plain, number) in [
            ("1.", "1"),
            (".5", "0.5"),
            ("1e3", "1000"),
            ("1_000.5", "1000.5"),
            (".NAN", "NaN"),
            ("+.Inf", "+Inf"),
            ("-.inf", "-Inf"),
            ("1e-400", "0"),
            ("1e21", "1000000000000000000000"),
            ("1e-7", "0.0000001"),
            ("-0.0", "-0"),
            ("089", "89"),
        ] {
            assert_eq!(read(plain), (Kind::Float, number.to_owned()), "{plain}");
        }
    }

    #[test]
    fn dates_become_rfc_3339() {
        for (plain, time) in [
            ("2024-02-29", "2024-02-29T00:00:00Z"),
            ("2024-2-9", "2024-02-09T00:00:00Z"),
            ("2024-02-29 12:34:56", "2024-02-29T12:34:56Z"),
            ("2024-02-29T12:34:56.120Z", "2024-02-29T12:34:56.12Z"),
            ("2024-02-29t12:34:56-05:00", "2024-02-29T12:34:56-05:00"),
        ] {
            assert_eq!(read(plain), (Kind::Time, time.to_owned()), "{plain}");
        }
    }

    #[test]
    fn what_looks_similar_is_text() {
        for plain in [
            "12:30",
            "190:20:30",
            "1e",
            "0x",
            "0b2",
            "1,000",
            "nan",
            "yes",
            "no",
            "on",
            "Yes",
            "tRue",
            "-",
            "+",
            ".",
            "2024-02-30",
            "2024-02-29T12:34:56z",
            "2024-02-29 12:34:56 Z",
            "1e400",
            "inf",
            "-.5.",
            "é",
        ] {
            assert_eq!(resolve(plain), Some(Kind::Text), "{plain}");
        }
    }

    #[test]
    fn encrypted_numbers_are_read_as_go_reads_them() {
        assert_eq!(parse_int("+5"), Some(5));
        assert_eq!(parse_int("007"), Some(7));
        for bad in ["0x10", " 5", "9223372036854775808", "", "1_0"] {
            assert_eq!(parse_int(bad), None, "{bad}");
        }
        for (text, number) in [
            ("1e21", 1e21),
            ("0x1p4", 16.0),
            ("1_000", 1000.0),
            ("3", 3.0),
            ("-0x1.8p1", -3.0),
        ] {
            assert_eq!(parse_float(text), Some(number), "{text}");
        }
        assert_eq!(parse_float("+Inf"), Some(f64::INFINITY));
        assert_eq!(
            parse_rfc3339("2024-02-29T12:00:00.500Z").as_deref(),
            Some("2024-02-29T12:00:00.5Z")
        );
        assert_eq!(parse_rfc3339("2024-02-29"), None);
    }
}
