//! Runs what a Markdown block of kind `console` shows: `$ command`, then the output that is expected, a
//! line `? N` for an exit code. `…` stands for any text in a line, or, alone, for any lines. A command
//! without expected output only has to succeed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// What stands behind the fence.
    pub(crate) kind: String,
    /// Line of the opening fence, from 1.
    pub(crate) line: usize,
    lines: Vec<String>,
}

/// All fenced blocks of a Markdown text, in order.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (line, at) in text.lines().zip(1..) {
        match (line.strip_prefix("```"), open) {
            (Some(kind), false) => {
                found.push(Block {
                    kind: kind.trim().to_owned(),
                    line: at,
                    lines: Vec::new(),
                });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => found.last_mut().unwrap().lines.push(line.to_owned()),
            (None, false) => {}
        }
    }
    found
}

/// One command of a block.
struct Shown<'a> {
    line: usize,
    command: String,
    output: Vec<&'a str>,
    code: i32,
}

/// Where the commands run: a home, a working directory, and folders before the usual path.
pub(crate) struct Setting {
    home: PathBuf,
    folder: PathBuf,
    path: String,
    variables: Vec<(String, String)>,
}

impl Setting {
    pub(crate) fn new(home: PathBuf, folder: PathBuf, programs: &[&Path]) -> Self {
        let programs: Vec<String> = programs.iter().map(|p| p.display().to_string()).collect();
        let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let path = format!("{}:{usual}", programs.join(":"));
        Self {
            home,
            folder,
            path,
            variables: Vec::new(),
        }
    }

    #[allow(dead_code, reason = "used where there is a cluster")]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Runs the commands of a block; `Err` says at which line what was wrong.
    pub(crate) fn run(&self, block: &Block) -> Result<(), String> {
        for shown in commands(block) {
            let (said, code) = self.output_of(&shown.command);
            let verdict = if code == shown.code {
                check_output(&shown.output, &said)
            } else {
                Err(format!("exit code {code}, not {}", shown.code))
            };
            verdict.map_err(|what| {
                format!(
                    "{}: $ {}\n{what}; it said:\n{said}",
                    shown.line, shown.command
                )
            })?;
        }
        Ok(())
    }

    fn output_of(&self, command: &str) -> (String, i32) {
        let output = Command::new("bash")
            .args(["-c", &format!("set -o pipefail\nexec 2>&1\n{command}")])
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("HOME", &self.home)
            .env("USER", "alice")
            .env("PATH", &self.path)
            .env("LANG", "C.UTF-8")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.code().unwrap_or(-1),
        )
    }
}

fn commands(block: &Block) -> Vec<Shown<'_>> {
    let mut found: Vec<Shown<'_>> = Vec::new();
    let mut continues = false;
    for (line, at) in block.lines.iter().zip(block.line + 1..) {
        // As shells do: after a backslash, and after the mark `> ` of an unfinished command.
        let more = line.strip_prefix("> ").or((line == ">").then_some(""));
        let more = more.filter(|_| found.last().is_some_and(|last| last.output.is_empty()));
        if let (Some(more), Some(last)) = (more.or(continues.then_some(line)), found.last_mut()) {
            last.command.push('\n');
            last.command.push_str(more);
        } else if let Some(command) = line.strip_prefix("$ ") {
            let command = command.to_owned();
            found.push(Shown {
                line: at,
                command,
                output: Vec::new(),
                code: 0,
            });
        } else if let Some(last) = found.last_mut() {
            match line.strip_prefix("? ") {
                Some(code) => last.code = code.parse().unwrap(),
                None => last.output.push(line),
            }
            continue;
        }
        continues = line.ends_with('\\');
    }
    found
}

/// Compares what was printed with what the block shows.
pub(crate) fn check_output(expected: &[&str], said: &str) -> Result<(), String> {
    let said: Vec<&str> = said.lines().map(str::trim_end).collect();
    let expected: Vec<&str> = expected
        .iter()
        .map(|line| line.trim_end())
        .filter(|line| !line.is_empty())
        .collect();
    let said: Vec<&str> = said.into_iter().filter(|line| !line.is_empty()).collect();
    if expected.is_empty() || fits_lines(&expected, &said) {
        return Ok(());
    }
    Err(format!("the block says:\n{}", expected.join("\n")))
}

fn fits_lines(expected: &[&str], said: &[&str]) -> bool {
    match expected.split_first() {
        None => said.is_empty(),
        Some((&"…", rest)) => (0..=said.len()).any(|skipped| fits_lines(rest, &said[skipped..])),
        Some((line, rest)) => said
            .split_first()
            .is_some_and(|(first, after)| fits(line, first) && fits_lines(rest, after)),
    }
}

/// Whether a line fits a pattern with `…` in it.
fn fits(pattern: &str, line: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return false;
    };
    if parts.len() == 1 {
        return pattern == line;
    }
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}
