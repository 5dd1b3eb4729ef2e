//! What was typed: global options and the enum of commands.
//!
//! Nothing here looks at files or the environment (clap reads the variables that stand for flags).
//! The arguments of a verb stand in the verb's own file.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::cli::command;
use crate::cli::ui::{Colour, Manners};

/// Secrets and configuration of apps, sealed in git, opened only where they are needed
///
/// The documents envs/<env>/<app>.yaml are SOPS files; the listing of keys/<env>/ says who can open
/// them. seald turns them into ConfigMaps and Secrets in the cluster.
#[derive(Debug, Parser)]
#[command(
    name = "sealctl",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    infer_subcommands = false,
    max_term_width = 100,
    before_help = "Examples:\n  \
        sealctl init --app web            lay out keys/ and envs/, make your key\n  \
        sealctl set API_KEY               asks for the value, seals it\n  \
        sealctl encrypt envs/dev/web.yaml seal what was typed into the file\n  \
        sealctl run -- ./manage.py check  run a command with the environment",
    after_help = crate::vocabulary::PAGES
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// Environment (default: dev, or the only one)
    #[arg(
        short = 'e',
        long = "env",
        value_name = "ENV",
        global = true,
        env = "SEALCTL_ENV"
    )]
    pub(crate) environment: Option<String>,
    /// App (default: the only document of the environment)
    #[arg(short, long, value_name = "APP", global = true, env = "SEALCTL_APP")]
    pub(crate) app: Option<String>,
    /// Folder of the project (default: found from the working directory upwards)
    #[arg(
        short = 'C',
        long,
        value_name = "DIR",
        global = true,
        env = "SEALCTL_PROJECT_DIR"
    )]
    pub(crate) project_dir: Option<PathBuf>,
    /// Format of a report
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        global = true,
        env = "SEALCTL_OUTPUT"
    )]
    pub(crate) output: Option<OutputFormat>,
    /// Neither progress nor what to do next
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more; repeat for even more
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        env = "SEALCTL_COLOR",
        default_value = "auto",
        hide_default_value = true
    )]
    pub(crate) color: Colour,
    /// As --color never
    #[arg(long, global = true, hide = true)]
    pub(crate) no_color: bool,
    /// Never ask
    #[arg(long, global = true, env = "SEALCTL_NO_INPUT", value_parser = FalseyValueParser::new())]
    pub(crate) no_input: bool,
    /// Answer ordinary questions with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Show what would change, write nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Exit with 3 when nothing changed
    #[arg(long, global = true)]
    pub(crate) error_unchanged: bool,
}

/// Format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// One JSON object.
    Json,
    /// YAML.
    Yaml,
}

impl Globals {
    /// How the terminal is to be treated.
    pub(crate) fn manners(&self) -> Manners {
        Manners {
            quiet: self.quiet,
            no_input: self.no_input,
            yes: self.yes,
        }
    }

    /// When to use colour.
    pub(crate) fn colour(&self) -> Colour {
        if self.no_color {
            Colour::Never
        } else {
            self.color
        }
    }
}

/// The commands, common ones first.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(command::init::InitArgs),
    Show(command::show::ShowArgs),
    Get(command::get::GetArgs),
    Set(command::set::SetArgs),
    #[command(alias = "rm")]
    Unset(command::unset::UnsetArgs),
    Edit(command::edit::EditArgs),
    Encrypt(command::encrypt::EncryptArgs),
    Decrypt(command::decrypt::DecryptArgs),
    Run(command::run::RunArgs),
    Render(command::render::RenderArgs),
    Check(command::check::CheckArgs),
    Key(command::key::KeyArgs),
    Rbac(command::rbac::RbacArgs),
    Cluster(command::cluster::ClusterArgs),
    Version(command::meta::VersionArgs),
    Help(command::meta::HelpArgs),
    Completion(command::meta::CompletionArgs),
    Man(command::meta::ManArgs),
    Internal(command::meta::InternalArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_begins_its_help_with_examples() {
        for command in Cli::command()
            .get_subcommands()
            .filter(|one| !one.is_hide_set())
        {
            let examples = command.get_before_help().map(ToString::to_string);
            assert!(
                examples.is_some_and(|text| text.starts_with("Example")),
                "{} has no examples",
                command.get_name()
            );
            let about = command
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                !about.is_empty() && !about.ends_with('.'),
                "{}",
                command.get_name()
            );
        }
    }
}
