//! The console blocks of `README.md` and `deploy/README.md` say what happens: each is run in order, and
//! what is printed is compared. Blocks for a cluster are run by `tests/cluster/docs.rs`.
#![expect(
    clippy::disallowed_methods,
    reason = "makes a home and a project to run the commands in"
)]

#[path = "docs/console.rs"]
pub(crate) mod console;

use std::fs;
use std::path::{Path, PathBuf};

use self::console::{Block, Setting, blocks, check_output};

/// A folder with a home and an empty project, and the two programs on the path.
fn setting(folder: &Path) -> Setting {
    let programs = Path::new(env!("CARGO_BIN_EXE_sealctl")).parent().unwrap();
    for name in ["home", "project"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    // As everybody has who uses git.
    let person = "[user]\n\tname = alice\n\temail = alice@example.com\n";
    fs::write(folder.join("home/.gitconfig"), person).unwrap();
    Setting::new(folder.join("home"), folder.join("project"), &[programs])
}

fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = [root.join("README.md"), root.join("deploy/README.md")];
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn every_console_block_without_a_cluster_does_what_it_says() {
    for (path, text) in documents() {
        let folder = tempfile::tempdir().unwrap();
        // Readers keep their files in a repository, and are told what to do next there.
        fs::create_dir(folder.path().join(".git")).unwrap();
        let setting = setting(folder.path());
        for block in blocks(&text).iter().filter(|block| block.kind == "console") {
            setting
                .run(block)
                .unwrap_or_else(|wrong| panic!("{}:{wrong}", path.display()));
        }
    }
}

#[test]
fn no_block_is_of_a_kind_that_nobody_runs() {
    // `sh` and `text` show what no test can run here: installing, loading an image, another cluster.
    let known = ["console", "console cluster", "yaml", "sh", "text", ""];
    for (path, text) in documents() {
        for Block { kind, line, .. } in blocks(&text) {
            assert!(
                known.contains(&kind.as_str()),
                "{}:{line}: ```{kind}",
                path.display()
            );
        }
    }
}

#[test]
fn the_readme_has_blocks_to_run() {
    let (_, readme) = documents().swap_remove(0);
    for kind in ["console", "console cluster"] {
        assert!(
            blocks(&readme).iter().any(|block| block.kind == kind),
            "no block ```{kind}"
        );
    }
}

#[test]
fn the_page_about_the_architecture_names_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let paths: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| {
            ["src/", "tests/", "deploy/"]
                .iter()
                .any(|top| word.starts_with(top))
        })
        .collect();
    assert!(paths.len() > 10);
    for path in paths {
        assert!(
            root.join(path).exists(),
            "ARCHITECTURE.md names {path}, which does not exist"
        );
    }
}

// === the runner bites ===

fn run(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let setting = setting(folder.path());
    blocks(text).iter().try_for_each(|block| setting.run(block))
}

#[test]
fn a_block_that_says_something_else_is_found() {
    assert_eq!(
        run("```console\n$ echo one; echo two\none\ntwo\n```\n"),
        Ok(())
    );
    assert_eq!(
        run("```console\n$ echo one \\\n    two\none two\n```\n"),
        Ok(())
    );
    assert_eq!(
        run("```console\n$ cat <<END\n> one\n>\n> END\none\n```\n"),
        Ok(())
    );
    assert!(run("```console\n$ echo one; echo two\none\n```\n").is_err());
    assert!(run("```console\n$ echo one\ntwo\n```\n").is_err());
    assert!(
        run("text\n```console\n$ false\n```\n")
            .unwrap_err()
            .contains('3')
    );
    assert!(run("```console\n$ exit 3\n? 3\n$ true\n```\n").is_ok());
    assert!(run("```console\n$ true\n? 3\n```\n").is_err());
    assert!(run("```console\n$ true | false\n```\n").is_err());
}

#[test]
fn three_dots_stand_for_whatever_is_there() {
    let fits = |expected: &[&str], said: &str| check_output(expected, said).is_ok();
    assert!(fits(&["a … c"], "a bcd c\n"));
    assert!(fits(&["…"], "a\nb\nc\n"));
    assert!(fits(&["a", "…", "d"], "a\nb\nc\nd\n"));
    assert!(fits(&["a", "…", "b"], "a\nb\n"));
    assert!(!fits(&["a", "…", "d"], "a\nb\n"));
    assert!(!fits(&["a …"], "b\n"));
    assert!(!fits(&["… a"], "a b\n"));
    assert!(
        fits(&[], "anything\n"),
        "a block without output only has to succeed"
    );
}
