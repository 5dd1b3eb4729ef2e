//! Reads Rust text far enough to check it: words and marks without comments and literals, items under
//! `#[cfg(test)]` marked, and every path that the code names, `use` groups unfolded.
//!
//! No parser: it knows nothing of types and would take a macro's input for code, which is right here.

/// A word, a mark or a string literal, with its line (from 1).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

/// What a token is. Numbers and characters are left out: no rule is about them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Word(String),
    Mark(char),
    /// `::`
    Path,
    /// A string literal, without its quotes; escapes as written.
    Text(String),
}

/// A path as the code names it, from its first word on, with the module it stands in.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    /// Inline modules around it; `super` climbs out of these first.
    pub(super) inside: usize,
}

/// A file, read.
pub(super) struct Code {
    path: String,
    tokens: Vec<Token>,
    /// Ranges of `tokens` that are compiled for tests only.
    tests: Vec<(usize, usize)>,
}

impl Code {
    pub(super) fn read(path: &str, text: &str) -> Self {
        let tokens = Reader {
            rest: text,
            line: 1,
        }
        .tokens();
        let tests = test_items(&tokens);
        Self {
            path: path.to_owned(),
            tokens,
            tests,
        }
    }

    /// Tokens that are compiled into the programs, with their index.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (usize, &Token)> {
        let in_tests = |at: usize| {
            self.tests
                .iter()
                .any(|(from, to)| (*from..*to).contains(&at))
        };
        self.tokens
            .iter()
            .enumerate()
            .filter(move |(at, _)| !in_tests(*at))
    }

    pub(super) fn all(&self) -> &[Token] {
        &self.tokens
    }

    /// Lines, from and to (from 1, inclusive), of items that are compiled for tests only.
    fn test_lines(&self) -> Vec<(usize, usize)> {
        let line = |at: usize| self.tokens.get(at).map_or(usize::MAX, |t| t.line);
        self.tests
            .iter()
            .map(|(from, to)| (line(*from), line(to - 1)))
            .collect()
    }

    /// The file's text without items that are compiled for tests only.
    pub(super) fn without_tests(&self, text: &str) -> String {
        let tests = self.test_lines();
        let shipped = |line: usize| !tests.iter().any(|(from, to)| (*from..=*to).contains(&line));
        let lines = text.split_inclusive('\n').zip(1..);
        lines
            .filter(|(_, number)| shipped(*number))
            .map(|(line, _)| line)
            .collect()
    }

    /// Files below `src/` that this one declares under `#[cfg(test)]`.
    pub(super) fn test_files(&self) -> Vec<String> {
        let folder = match self.path.as_str() {
            "lib.rs" | "main.rs" => String::new(),
            path => format!("{}/", path.trim_end_matches(".rs")),
        };
        let mut found = Vec::new();
        for (from, to) in &self.tests {
            for window in self.tokens[*from..*to].windows(3) {
                if let [a, b, c] = window
                    && a.kind == Kind::Word("mod".into())
                    && let Kind::Word(name) = &b.kind
                    && c.kind == Kind::Mark(';')
                {
                    found.push(format!("{folder}{name}.rs"));
                }
            }
        }
        found
    }

    /// Every path in the code that is compiled into the programs, also each leaf of a `use` group.
    pub(super) fn paths(&self) -> Vec<Named> {
        let kept: Vec<&Token> = self.tokens().map(|(_, token)| token).collect();
        let mut found = Vec::new();
        // Depth of braces at which each inline module around the current token ends.
        let mut modules: Vec<usize> = Vec::new();
        let (mut at, mut depth) = (0, 0);
        while at < kept.len() {
            match &kept[at].kind {
                Kind::Word(word) if word == "use" && !is_bound(kept.get(at + 1)) => {
                    let end = position(&kept, at, ';');
                    use_tree(&kept[at + 1..end], &[], modules.len(), &mut found);
                    at = end;
                }
                // `extern crate kube` imports like `use kube`.
                Kind::Word(word) if word == "extern" && is_word(kept.get(at + 1), "crate") => {
                    let end = position(&kept, at, ';');
                    use_tree(
                        kept.get(at + 2..end).unwrap_or_default(),
                        &[],
                        0,
                        &mut found,
                    );
                    at = end;
                }
                Kind::Word(word) if word == "mod" && is_mark(kept.get(at + 2), '{') => {
                    modules.push(depth);
                    (at, depth) = (at + 2, depth + 1);
                }
                Kind::Word(_) => {
                    let (words, next) = plain_path(&kept, at);
                    found.push(Named {
                        line: kept[at].line,
                        words,
                        inside: modules.len(),
                    });
                    at = next - 1;
                }
                Kind::Mark('{') => depth += 1,
                Kind::Mark('}') => {
                    depth = usize::saturating_sub(depth, 1);
                    modules.retain(|end| *end < depth);
                }
                _ => {}
            }
            at += 1;
        }
        found
    }
}

fn is_mark(token: Option<&&Token>, mark: char) -> bool {
    token.is_some_and(|token| token.kind == Kind::Mark(mark))
}

fn is_word(token: Option<&&Token>, word: &str) -> bool {
    token.is_some_and(|token| token.kind == Kind::Word(word.to_owned()))
}

/// `use<'a>` in a type bounds what it captures and imports nothing.
fn is_bound(next: Option<&&Token>) -> bool {
    is_mark(next, '<')
}

fn position(tokens: &[&Token], from: usize, mark: char) -> usize {
    (from..tokens.len())
        .find(|at| tokens[*at].kind == Kind::Mark(mark))
        .unwrap_or(tokens.len())
}

/// The words joined by `::` from `at` on, and where they end.
fn plain_path(tokens: &[&Token], mut at: usize) -> (Vec<String>, usize) {
    let mut words = Vec::new();
    while let Some(Token {
        kind: Kind::Word(word),
        ..
    }) = tokens.get(at)
    {
        words.push(word.clone());
        at += 1;
        if tokens.get(at).is_none_or(|token| token.kind != Kind::Path) {
            break;
        }
        at += 1;
    }
    (words, at)
}

/// Unfolds `a::{b, c::{self, d as e}, f::*}` below `prefix`; a leaf `use kube` counts as a path.
fn use_tree(tokens: &[&Token], prefix: &[String], inside: usize, found: &mut Vec<Named>) {
    let mut words = prefix.to_vec();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].kind {
            Kind::Word(word) if word == "as" => at += 1,
            Kind::Word(word) => words.push(word.clone()),
            Kind::Mark('*') => words.push("*".to_owned()),
            Kind::Mark('{') => {
                for part in parts(&tokens[at + 1..]) {
                    use_tree(part, &words, inside, found);
                }
                return;
            }
            _ => {}
        }
        at += 1;
    }
    if let Some(first) = tokens.first() {
        // A mark that `plain_path` never gives: this path imports, even with a single word.
        found.push(Named {
            line: first.line,
            words: [vec!["use".into()], words].concat(),
            inside,
        });
    }
}

/// The parts between commas up to the brace that closes the group.
fn parts<'a>(tokens: &'a [&'a Token]) -> Vec<&'a [&'a Token]> {
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Mark('{') => depth += 1,
            Kind::Mark('}') if depth == 0 => {
                found.push(&tokens[from..at]);
                return found;
            }
            Kind::Mark('}') => depth -= 1,
            Kind::Mark(',') if depth == 0 => {
                found.push(&tokens[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// Ranges of tokens from `#[cfg(test)]` to the end of its item; the whole file after `#![cfg(test)]`.
fn test_items(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !is(tokens, at, '#') {
            at += 1;
            continue;
        }
        let inner = is(tokens, at + 1, '!');
        let open = at + 1 + usize::from(inner);
        let close = closing(tokens, open);
        if !is_cfg_test(tokens.get(open + 1..close).unwrap_or_default()) {
            at += 1;
        } else if inner {
            return vec![(0, tokens.len())];
        } else {
            let end = end_of_item(tokens, close + 1);
            found.push((at, end));
            at = end;
        }
    }
    found
}

fn is(tokens: &[Token], at: usize, mark: char) -> bool {
    tokens
        .get(at)
        .is_some_and(|token| token.kind == Kind::Mark(mark))
}

/// `cfg(test)` and `cfg(all(test, …))`; neither `not(test)` nor `any(test, …)`.
fn is_cfg_test(tokens: &[Token]) -> bool {
    let words: Vec<&str> = tokens
        .iter()
        .filter_map(|token| match &token.kind {
            Kind::Word(word) => Some(word.as_str()),
            _ => None,
        })
        .collect();
    matches!(
        words.as_slice(),
        ["cfg", "test"] | ["cfg", "all", "test", ..]
    )
}

/// Where the bracket at `open` closes.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Mark('[' | '{' | '(') => depth += 1,
            Kind::Mark(']' | '}' | ')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// One past the `;` or the closing brace of the item that starts at `at`.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Mark(';' | ',') => return at + 1,
            Kind::Mark('{') => return (closing(tokens, at) + 1).min(tokens.len()),
            Kind::Mark('(' | '[') => at = closing(tokens, at),
            _ => {}
        }
        at += 1;
    }
    tokens.len()
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn tokens(mut self) -> Vec<Token> {
        let mut found = Vec::new();
        while !self.rest.is_empty() {
            let line = self.line;
            if let Some(kind) = self.next() {
                found.push(Token { line, kind });
            }
        }
        found
    }

    fn next(&mut self) -> Option<Kind> {
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
            return None;
        }
        if self.rest.starts_with("/*") {
            self.block_comment();
            return None;
        }
        if let Some(text) = self.literal() {
            return Some(Kind::Text(text));
        }
        if self.rest.starts_with("::") {
            self.take(2);
            return Some(Kind::Path);
        }
        let first = self.rest.chars().next()?;
        if first == '\'' {
            self.character_or_lifetime();
            return None;
        }
        if first.is_alphanumeric() || first == '_' {
            let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let word = self.take(end.unwrap_or(self.rest.len()));
            return (!first.is_ascii_digit()).then_some(Kind::Word(word));
        }
        self.take(first.len_utf8());
        (!first.is_whitespace()).then_some(Kind::Mark(first))
    }

    fn take(&mut self, length: usize) -> String {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken.to_owned()
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while !self.rest.is_empty() {
            let length = if self.rest.starts_with("/*") {
                depth += 1;
                2
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                2
            } else {
                self.rest.chars().next().map_or(0, char::len_utf8)
            };
            self.take(length);
            if depth == 0 {
                return;
            }
        }
    }

    /// A string literal at the front: `"…"`, `r#"…"#`, with `b` or `c` before it.
    fn literal(&mut self) -> Option<String> {
        let bare = self.rest.trim_start_matches(['b', 'c']);
        let prefix = self.rest.len() - bare.len();
        if prefix > 1 {
            return None;
        }
        let raw = bare
            .strip_prefix('r')
            .map(|rest| (rest, rest.trim_start_matches('#')));
        if let Some((hashed, quoted)) = raw
            && quoted.starts_with('"')
        {
            let hashes = hashed.len() - quoted.len();
            let end = format!("\"{}", "#".repeat(hashes));
            let length = quoted[1..].find(&end).map_or(quoted.len() - 1, |at| at);
            self.take(prefix + 1 + hashes + 1);
            let text = self.take(length);
            self.take(end.len().min(self.rest.len()));
            return Some(text);
        }
        bare.starts_with('"').then(|| {
            self.take(prefix + 1);
            let text = self.take(end_of_string(self.rest));
            self.take(1.min(self.rest.len()));
            text
        })
    }

    fn character_or_lifetime(&mut self) {
        let after: Vec<char> = self.rest.chars().skip(1).take(2).collect();
        match after.as_slice() {
            ['\\', _] => {
                self.take(3.min(self.rest.len()));
                self.take(self.rest.find('\'').map_or(self.rest.len(), |at| at + 1));
            }
            [c, '\''] => drop(self.take(2 + c.len_utf8())),
            _ => {
                self.take(1);
                let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                self.take(end.unwrap_or(self.rest.len()));
            }
        }
    }
}

/// Where the quote stands that is not escaped.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    text.len()
}
