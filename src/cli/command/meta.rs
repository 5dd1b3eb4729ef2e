//! About the program itself: version, help, completions, man pages.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::args::{Cli, OutputFormat};
use crate::cli::error::{CommandError, EXIT_CODES, Exit};
use crate::cli::sops;
use crate::cli::{Outcome, Session};
use crate::vocabulary::CLI_API_VERSION;

/// Print the version
#[derive(Debug, Args)]
#[command(before_help = "Example:\n  sealctl version -o json")]
pub(crate) struct VersionArgs {}

/// Explain a command, or the exit codes
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  sealctl help encrypt\n  sealctl help exit-codes\n  sealctl help sops-compat"
)]
pub(crate) struct HelpArgs {
    /// A command, exit-codes or sops-compat
    topic: Vec<String>,
}

/// Open, seal and change files as the command sops does
///
/// Takes the commands, flags, variables and exit codes of SOPS; `sealctl sops --help` lists them. A link
/// called sops that leads to sealctl does the same.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    before_help = "Examples:\n  sealctl sops decrypt secrets.yaml\n  ln -s \"$(command -v sealctl)\" ~/.local/bin/sops"
)]
pub(crate) struct SopsArgs {
    /// Words of a command line of sops
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "WORDS"
    )]
    words: Vec<std::ffi::OsString>,
}

/// Print a completion script
#[derive(Debug, Args)]
#[command(
    hide = true,
    before_help = "Example:\n  sealctl completion bash > /etc/bash_completion.d/sealctl"
)]
pub(crate) struct CompletionArgs {
    shell: Shell,
}

/// Print a man page
#[derive(Debug, Args)]
#[command(
    hide = true,
    before_help = "Example:\n  sealctl man encrypt | man -l -"
)]
pub(crate) struct ManArgs {
    topic: Vec<String>,
}

/// Print what is generated from the code
#[derive(Debug, Args)]
#[command(hide = true, before_help = "Example:\n  sealctl internal crd")]
pub(crate) struct InternalArgs {
    what: Generated,
}

/// What is generated from the code and committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Generated {
    /// The CustomResourceDefinition.
    Crd,
}

/// `internal`.
pub(crate) fn internal(session: &mut Session, args: &InternalArgs) -> Outcome {
    match args.what {
        Generated::Crd => session
            .ui
            .data(crate::cluster::crd::definition_yaml().as_bytes()),
    }
    Outcome::Done
}

/// `version`.
pub(crate) fn version(session: &mut Session, _: &VersionArgs) -> Result<Outcome, CommandError> {
    let version = env!("CARGO_PKG_VERSION");
    let text = match session.globals.output {
        Some(OutputFormat::Json) => serde_json::json!({
            "apiVersion": CLI_API_VERSION, "kind": "Version", "version": version,
        })
        .to_string(),
        Some(OutputFormat::Yaml) => {
            format!("apiVersion: {CLI_API_VERSION}\nkind: Version\nversion: {version}")
        }
        None => format!("sealctl {version}"),
    };
    session.ui.report(&text);
    Ok(Outcome::Done)
}

/// `help`.
pub(crate) fn help(session: &mut Session, args: &HelpArgs) -> Result<Outcome, CommandError> {
    if args.topic == ["exit-codes"] {
        session.ui.data(EXIT_CODES.as_bytes());
        return Ok(Outcome::Done);
    }
    if args.topic == ["sops-compat"] {
        session.ui.data(sops::SOPS_COMPAT.as_bytes());
        return Ok(Outcome::Done);
    }
    let text = find(&args.topic)?.render_long_help().to_string();
    session.ui.data(text.as_bytes());
    Ok(Outcome::Done)
}

/// `sops`, behind options of sealctl, which mean nothing to it.
pub(crate) fn drop_in(session: &Session, args: &SopsArgs) -> Outcome {
    Outcome::Status(sops::status(session.environ.clone(), &args.words))
}

/// `completion`.
pub(crate) fn completion(
    session: &mut Session,
    args: &CompletionArgs,
) -> Result<Outcome, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sealctl", &mut script);
    session.ui.data(&script);
    Ok(Outcome::Done)
}

/// `man`.
pub(crate) fn man(session: &mut Session, args: &ManArgs) -> Result<Outcome, CommandError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(find(&args.topic)?)
        .render(&mut page)
        .map_err(|error| {
            CommandError::new("E0599", Exit::Failure, "cannot render the page")
                .why(error.to_string())
        })?;
    session.ui.data(&page);
    Ok(Outcome::Done)
}

/// The command of the words `topic`.
fn find(topic: &[String]) -> Result<clap::Command, CommandError> {
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    for word in topic {
        command = command.find_subcommand(word).ok_or_else(|| {
            CommandError::usage(format!("no command \"{word}\"")).fix("sealctl --help")
        })?;
    }
    Ok(command.clone())
}
