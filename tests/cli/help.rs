//! What the program says about itself.

use crate::sandbox::Sandbox;

#[test]
fn the_exit_codes_are_explained() {
    let text = Sandbox::empty().run(&["help", "exit-codes"]).ok().stdout;
    for code in ["   0", "   3", "  10", "  14", "  23", " 125", "128+N"] {
        assert!(text.contains(code), "{code}");
    }
}

#[test]
fn help_of_a_command_begins_with_examples_and_names_its_variables() {
    let sandbox = Sandbox::empty();
    let text = sandbox.run(&["help", "encrypt"]).ok().stdout;
    assert!(text.starts_with("Example"), "{text}");
    assert!(text.contains("SEALCTL_ENV"));
    assert!(sandbox.run(&["encrypt", "-h"]).ok().stdout.len() < text.len());
    assert_eq!(sandbox.run(&["help", "encript"]).code, 2);
}

#[test]
fn sealctl_alone_prints_help_and_wrong_usage_is_2() {
    let sandbox = Sandbox::empty();
    let alone = sandbox.run(&[]);
    assert!(alone.stderr.contains("Examples:") || alone.stdout.contains("Examples:"));
    assert_eq!(sandbox.run(&["nonsense"]).code, 2);
    assert_eq!(sandbox.run(&["get"]).code, 2);
}

#[test]
fn version_completions_and_man_pages_are_there() {
    let sandbox = Sandbox::empty();
    let json = sandbox.run(&["version", "-o", "json"]).ok().stdout;
    assert!(
        json.contains("\"apiVersion\":\"cli.sealctl.dev/v1\""),
        "{json}"
    );
    assert!(
        sandbox
            .run(&["completion", "bash"])
            .ok()
            .stdout
            .contains("_sealctl")
    );
    assert!(sandbox.run(&["man", "encrypt"]).ok().stdout.contains(".TH"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::project();
    let mut shell = std::process::Command::new("bash");
    sandbox.enter(&mut shell);
    let program = env!("CARGO_BIN_EXE_sealctl");
    let line = format!("{program} help encrypt | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}");
    let output = shell.args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0");
}

#[test]
fn colour_is_off_in_a_pipe_and_on_when_forced() {
    let sandbox = Sandbox::project();
    assert!(!sandbox.run(&["encrypt"]).stderr.contains('\u{1b}'));
    let forced = sandbox.run_as(&["nope"], "", &[("FORCE_COLOR", "1".as_ref())]);
    assert_eq!(forced.code, 2);
    let forced = sandbox.run_as(
        &["set", "A=b", "--config"],
        "",
        &[("FORCE_COLOR", "1".as_ref())],
    );
    assert!(forced.stderr.contains('\u{1b}'), "{}", forced.stderr);
    let never = ["set", "A=c", "--color", "never"];
    let never = sandbox.run_as(&never, "", &[("FORCE_COLOR", "1".as_ref())]);
    assert!(!never.stderr.contains('\u{1b}'));
}
