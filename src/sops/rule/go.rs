//! Patterns in the syntax of Go's `regexp`, which SOPS uses, written in that of the `regex` crate.
//!
//! Both come from RE2 and differ in little: in Go `\d`, `\s`, `\w` and `\b` know ASCII only, classes
//! have no operators, `{` may be a character, and some escapes exist on one side only. The result
//! names every character by its number, so that nothing in it means more than it says. It knows
//! neither keys nor rules. The syntax: <https://pkg.go.dev/regexp/syntax>.

/// Most repetitions that Go takes.
const MOST: u32 = 1000;
/// The general categories that Go knows, each one or two letters.
const CATEGORIES: &str = "C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps \
                          S Sc Sk Sm So Z Zl Zp Zs";
const POSIX: &str =
    "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";

/// `pattern` for the `regex` crate. `None` for what Go refuses, and for the few oddities that it takes
/// and nobody writes; whatever else is wrong, such as an open parenthesis, the crate itself refuses.
pub(super) fn translate(pattern: &str) -> Option<String> {
    let mut translator = Translator {
        rest: pattern,
        text: String::with_capacity(pattern.len() * 2),
        was_repeated: false,
    };
    while let Some(next) = translator.take() {
        translator.element(next)?;
    }
    Some(translator.text)
}

struct Translator<'a> {
    rest: &'a str,
    text: String,
    /// Whether the last element was a repetition, which may not be repeated.
    was_repeated: bool,
}

impl<'a> Translator<'a> {
    fn take(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    /// Takes `text` if it comes next.
    fn takes(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes what stands before `end`, and `end`.
    fn take_until(&mut self, end: &str) -> Option<&'a str> {
        let (before, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(before)
    }

    fn literal(&mut self, character: char) {
        if character.is_ascii_alphanumeric() {
            self.text.push(character);
        } else {
            self.text.push_str(&number(character));
        }
    }

    fn element(&mut self, next: char) -> Option<()> {
        let repeats = match next {
            '*' | '+' | '?' => Some(next.to_string()),
            '{' => self.counts()?,
            _ => None,
        };
        let Some(repetition) = repeats else {
            self.was_repeated = false;
            return self.single(next);
        };
        if self.was_repeated {
            return None;
        }
        self.text.push_str(&repetition);
        if self.takes("?") {
            self.text.push('?');
        }
        self.was_repeated = true;
        Some(())
    }

    /// Anything but a repetition.
    fn single(&mut self, next: char) -> Option<()> {
        match next {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.group()?,
            '.' | '^' | '$' | '|' | ')' => self.text.push(next),
            other => self.literal(other),
        }
        Some(())
    }

    /// The rest of `{2}`, `{2,}` or `{2,5}`; `Some(None)` where the brace stands for itself.
    fn counts(&mut self) -> Option<Option<String>> {
        let Some((inner, rest)) = self.rest.split_once('}') else {
            return Some(None);
        };
        let is_count = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits && (text.len() == 1 || !text.starts_with('0'))
        };
        let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
        if !is_count(least) || !(most.is_empty() || is_count(most)) {
            return Some(None);
        }
        self.rest = rest;
        let in_range = |text: &str| text.parse().ok().filter(|count| *count <= MOST);
        let first: u32 = in_range(least)?;
        let is_possible = most.is_empty() || in_range(most)? >= first;
        is_possible.then(|| Some(format!("{{{inner}}}")))
    }

    /// The rest of `(`, `(?:`, `(?i)`, `(?i:` or `(?P<name>`.
    fn group(&mut self) -> Option<()> {
        if !self.takes("?") {
            self.text.push('(');
            return Some(());
        }
        if self.takes("P<") || self.takes("<") {
            let name = self.take_until(">")?;
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_word) {
                return None;
            }
            // In Go a name may begin with a digit.
            self.text.extend(["(?P<_", name, ">"]);
            return Some(());
        }
        let end = self.rest.find([':', ')'])?;
        let (flags, rest) = self.rest.split_at(end);
        if !flags.bytes().all(|flag| b"imsU-".contains(&flag)) {
            return None;
        }
        self.rest = &rest[1..];
        self.text.extend(["(?", flags, &rest[..1]]);
        Some(())
    }

    /// What follows a backslash outside of a class.
    fn escape(&mut self) -> Option<()> {
        if self.takes("Q") {
            let literal = match self.rest.split_once("\\E") {
                Some((literal, rest)) => {
                    self.rest = rest;
                    literal
                }
                None => std::mem::take(&mut self.rest),
            };
            literal
                .chars()
                .for_each(|character| self.literal(character));
            return Some(());
        }
        let boundaries = [
            ("A", r"\A"),
            ("z", r"\z"),
            ("b", r"(?-u:\b)"),
            ("B", r"(?-u:\B)"),
        ];
        if let Some((_, text)) = boundaries.iter().find(|(letter, _)| self.takes(letter)) {
            self.text.push_str(text);
            return Some(());
        }
        if let Some(class) = self.named_class()? {
            self.text.push_str(&class);
            return Some(());
        }
        let character = self.escaped()?;
        self.literal(character);
        Some(())
    }

    /// What follows a backslash, when it is a class: `d`, `p{Greek}`.
    fn named_class(&mut self) -> Option<Option<String>> {
        let perl = [
            ("d", "[0-9]"),
            ("D", "[^0-9]"),
            ("s", r"[\t\n\x0C\r\x20]"),
            ("S", r"[^\t\n\x0C\r\x20]"),
            ("w", "[0-9A-Za-z_]"),
            ("W", "[^0-9A-Za-z_]"),
        ];
        if let Some((_, class)) = perl.iter().find(|(letter, _)| self.takes(letter)) {
            return Some(Some((*class).to_owned()));
        }
        let is_negated = self.rest.starts_with('P');
        if !self.takes("p") && !self.takes("P") {
            return Some(None);
        }
        let name = if self.takes("{") {
            self.take_until("}")?.to_owned()
        } else {
            self.take()?.to_string()
        };
        let (name, is_negated) = match name.strip_prefix('^') {
            Some(name) => (name, !is_negated),
            None => (name.as_str(), is_negated),
        };
        let negation = if is_negated { "^" } else { "" };
        Some(Some(format!("[{negation}{}]", unicode(name)?)))
    }

    /// What follows a backslash, when it is a character.
    fn escaped(&mut self) -> Option<char> {
        let octal = |text: &str| {
            text.bytes()
                .take_while(|byte| (b'0'..=b'7').contains(byte))
                .count()
        };
        let digits = octal(self.rest).min(3);
        if digits > 1 || self.rest.starts_with('0') {
            let (code, rest) = self.rest.split_at(digits);
            self.rest = rest;
            return char::from_u32(u32::from_str_radix(code, 8).ok()?);
        }
        match self.take()? {
            'a' => Some('\x07'),
            'f' => Some('\x0C'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\x0B'),
            'x' => {
                let code = if self.takes("{") {
                    self.take_until("}")?
                } else {
                    let (code, rest) = self.rest.split_at_checked(2)?;
                    self.rest = rest;
                    code
                };
                let is_hex = code.bytes().all(|byte| byte.is_ascii_hexdigit());
                char::from_u32(u32::from_str_radix(code, 16).ok().filter(|_| is_hex)?)
            }
            other => (other.is_ascii() && !other.is_ascii_alphanumeric()).then_some(other),
        }
    }

    /// The rest of `[a-z]`. A bracket, `&&` and the like stand for themselves in it.
    fn class(&mut self) -> Option<()> {
        self.text.push('[');
        if self.takes("^") {
            self.text.push('^');
        }
        let mut is_first = true;
        while is_first || !self.takes("]") {
            is_first = false;
            self.class_item()?;
        }
        self.text.push(']');
        Some(())
    }

    fn class_item(&mut self) -> Option<()> {
        if self.rest.starts_with("[:") && self.rest[2..].contains(":]") {
            self.takes("[:");
            let name = self.take_until(":]")?;
            let plain = name.strip_prefix('^').unwrap_or(name);
            let is_known = POSIX.split_whitespace().any(|known| known == plain);
            self.text.extend(["[:", name, ":]"]);
            return is_known.then_some(());
        }
        if let Some(after) = self.rest.strip_prefix('\\') {
            let before = self.rest;
            self.rest = after;
            if let Some(class) = self.named_class()? {
                self.text.push_str(&class);
                return Some(());
            }
            self.rest = before;
        }
        let low = self.class_character()?;
        self.text.push_str(&number(low));
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
            self.takes("-");
            let high = self.class_character()?;
            self.text.push('-');
            self.text.push_str(&number(high));
        }
        Some(())
    }

    fn class_character(&mut self) -> Option<char> {
        match self.take()? {
            '\\' => self.escaped(),
            other => Some(other),
        }
    }
}

/// A character by its number.
fn number(character: char) -> String {
    format!("\\x{{{:X}}}", u32::from(character))
}

/// A category or script as an item of a class.
fn unicode(name: &str) -> Option<String> {
    match name {
        "Any" => Some(r"\p{Any}".to_owned()),
        // In Go it leaves out what is not assigned.
        "C" => Some(r"\p{gc=Cc}\p{gc=Cf}\p{gc=Co}".to_owned()),
        _ if CATEGORIES.split_whitespace().any(|known| known == name) => {
            Some(format!("\\p{{gc={name}}}"))
        }
        _ => {
            let is_script = name.starts_with(|first: char| first.is_ascii_uppercase())
                && name.len() > 2
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            is_script.then(|| format!("\\p{{sc={name}}}"))
        }
    }
}
