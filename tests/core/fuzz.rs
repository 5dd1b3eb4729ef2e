//! A short run of the fuzz targets that is the same every time: all seeds, all inputs that once broke a
//! promise, and mutations of both. The long runs, which learn from coverage, are those of `make fuzz`.
//!
//! What breaks a promise is shown, and belongs into `tests/fuzz/regressions/<target>/`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a library in the package beside")]
mod targets;

use self::targets::{Target, seeds::seeds};
use crate::random::Random;

/// Longest time for one input, on a busy machine and without optimisation.
const LONGEST: Duration = Duration::from_secs(10);
/// After so many broken promises a target is not looked at any longer.
const MOST_SHOWN: usize = 5;
/// Longest input that mutations make.
const MOST_BYTES: usize = 8 * 1024;

#[test]
fn every_reader_keeps_its_promises_for_seeds_and_mutations() {
    let threads: Vec<_> = targets::TARGETS
        .into_iter()
        .map(|target| std::thread::spawn(move || run(target)))
        .collect();
    let broken: Vec<String> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// All seeds of a target, and mutations of them. What broke a promise.
fn run(target: Target) -> Vec<String> {
    let (name, _) = target;
    let begin = Instant::now();
    let seeds = seeds(name);
    assert!(seeds.len() > 3, "{name} has {} seeds", seeds.len());
    let mut broken: Vec<String> = seeds
        .iter()
        .filter_map(|seed| check(target, seed))
        .collect();
    let mut mutator = Mutator {
        random: Random(name.len() as u64),
        words: dictionary(name),
    };
    let mutations = mutations(name);
    for _ in 0..mutations {
        let input = mutator.mutated(&seeds);
        broken.extend(check(target, &input));
        if broken.len() >= MOST_SHOWN {
            break;
        }
    }
    let (seeds, spent) = (seeds.len(), begin.elapsed());
    println!("{name}: {seeds} seeds, {mutations} mutations, {spent:.1?}");
    broken
}

/// How many mutations of seeds are tried: as many as take about two seconds without optimisation.
fn mutations(name: &str) -> usize {
    match name {
        "open" | "seal" => 200,
        "age_header" => 200,
        "yaml" | "sops_yaml" => 1_000,
        _ => 3_000,
    }
}

/// What is wrong with a target on one input, shown with the input. (Why, the panic itself has said.)
fn check((name, check): Target, input: &[u8]) -> Option<String> {
    let begin = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| check(input)));
    let spent = begin.elapsed();
    let shown = input.escape_ascii();
    match result {
        Err(_) => Some(format!("{name} broke a promise: \"{shown}\"")),
        Ok(()) if spent > LONGEST => Some(format!("{name} took {spent:?}: \"{shown}\"")),
        Ok(()) => None,
    }
}

/// The words of the dictionary of a target, in the notation of libFuzzer.
fn dictionary(name: &str) -> Vec<Vec<u8>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fuzz/dictionaries/{name}.dict"));
    let text = fs::read_to_string(path).unwrap();
    let words = text
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    words.map(word).collect()
}

/// A word without `\\`, `\"` and `\x41`.
fn word(escaped: &str) -> Vec<u8> {
    let mut parts = escaped.split('\\');
    let mut word = parts.next().unwrap_or_default().as_bytes().to_vec();
    while let Some(part) = parts.next() {
        match part.strip_prefix('x') {
            Some(hex) => {
                let (byte, rest) = hex.split_at(2);
                word.push(u8::from_str_radix(byte, 16).unwrap());
                word.extend(rest.as_bytes());
            }
            // What was split at is the character itself, and the next part follows it.
            None if part.is_empty() => {
                word.push(b'\\');
                word.extend(parts.next().unwrap_or_default().as_bytes());
            }
            None => word.extend(part.as_bytes()),
        }
    }
    word
}

#[test]
fn the_words_of_dictionaries_are_read_as_libfuzzer_reads_them() {
    assert_eq!(word(r#"a\\n\"\x0A\xFFz"#), b"a\\n\"\n\xFFz");
}

struct Mutator {
    random: Random,
    words: Vec<Vec<u8>>,
}

impl Mutator {
    /// One to four changes of one of `seeds`.
    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.random.below(seeds.len())].clone();
        for _ in 0..=self.random.below(4) {
            self.change(&mut input, seeds);
        }
        input.truncate(MOST_BYTES);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let (start, end) = self.piece(input);
        match self.random.below(8) {
            // A bit, a byte.
            0 if !input.is_empty() => {
                let place = self.random.below(input.len());
                input[place] ^= 1 << self.random.below(8);
            }
            1 => input.insert(start, self.random.next() as u8),
            // A piece is gone, doubled, put elsewhere; the end is gone.
            2 => drop(input.drain(start..end)),
            3 => {
                let piece = input[start..end].repeat(1 + self.random.below(3));
                input.splice(start..start, piece);
            }
            4 => {
                let piece: Vec<u8> = input.drain(start..end).collect();
                let place = self.random.below(input.len() + 1);
                input.splice(place..place, piece);
            }
            5 => input.truncate(end),
            // A piece of another seed, a word.
            6 => {
                let other = &seeds[self.random.below(seeds.len())];
                let (from, to) = self.piece(other);
                input.splice(start..end, other[from..to].iter().copied());
            }
            _ => {
                let word = &self.words[self.random.below(self.words.len())];
                input.splice(start..start, word.iter().copied());
            }
        }
    }

    /// A piece of `input`, most often a short one.
    fn piece(&mut self, input: &[u8]) -> (usize, usize) {
        let start = self.random.below(input.len() + 1);
        let longest = match self.random.below(4) {
            0 => input.len(),
            _ => 40,
        };
        let length = self.random.below(longest.min(input.len() - start) + 1);
        (start, start + length)
    }
}
