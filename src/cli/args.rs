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

/// Adds the arguments of a verb to its command.
type Augment = fn(clap::Command) -> clap::Command;

/// The verbs that work on a project, each with its arguments.
const VERBS: [(&str, Augment); 17] = [
    ("init", command::init::InitArgs::augment_args),
    ("show", command::show::ShowArgs::augment_args),
    ("get", command::get::GetArgs::augment_args),
    ("set", command::set::SetArgs::augment_args),
    ("unset", command::unset::UnsetArgs::augment_args),
    ("edit", command::edit::EditArgs::augment_args),
    ("encrypt", command::encrypt::EncryptArgs::augment_args),
    ("decrypt", command::decrypt::DecryptArgs::augment_args),
    ("run", command::run::RunArgs::augment_args),
    ("render", command::render::RenderArgs::augment_args),
    ("check", command::check::CheckArgs::augment_args),
    ("lint", command::lint::LintArgs::augment_args),
    ("key", command::key::KeyArgs::augment_args),
    ("rekey", command::rekey::RekeyArgs::augment_args),
    ("git", command::git::GitArgs::augment_args),
    ("rbac", command::rbac::RbacArgs::augment_args),
    ("cluster", command::cluster::ClusterArgs::augment_args),
];

/// The tree of commands with no other verb than `verb`, built in a fraction of the time of the whole
/// one. It reads every correct command line that begins with `verb` as the whole tree does; help and
/// errors are those of the whole tree alone. `None` for what is no verb of a project.
pub(crate) fn only(verb: &str) -> Option<clap::Command> {
    let (name, augment) = VERBS.into_iter().find(|(name, _)| *name == verb)?;
    let root = clap::Command::new("sealctl").disable_help_subcommand(true);
    let root = Globals::augment_args(root);
    Some(root.subcommand(augment(clap::Command::new(name))))
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
            is_trial: self.dry_run,
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
    Lint(command::lint::LintArgs),
    Key(command::key::KeyArgs),
    Rekey(command::rekey::RekeyArgs),
    Git(command::git::GitArgs),
    Rbac(command::rbac::RbacArgs),
    Cluster(command::cluster::ClusterArgs),
    Sops(command::meta::SopsArgs),
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
    fn a_tree_of_one_verb_has_the_arguments_of_the_whole_one() {
        let mut whole = Cli::command();
        whole.build();
        for (name, _) in VERBS {
            let mut alone = only(name).unwrap();
            alone.build();
            assert_eq!(arguments(&alone), arguments(&whole), "options of {name}");
            let found = |tree: &clap::Command| nested(tree.find_subcommand(name).unwrap());
            for (mine, theirs) in found(&alone).iter().zip(found(&whole)) {
                assert_eq!(*mine, theirs, "{name}");
            }
            assert_eq!(found(&alone).len(), found(&whole).len(), "{name}");
        }
        assert!(only("rm").is_none() && only("help").is_none() && only("-e").is_none());
    }

    /// Arguments of a command and of those below it.
    fn nested(command: &clap::Command) -> Vec<String> {
        let mut lines = arguments(command);
        lines.push(format!("{:?}", command.get_groups().collect::<Vec<_>>()));
        for below in command.get_subcommands() {
            lines.push(below.get_name().to_owned());
            lines.extend(nested(below));
        }
        lines
    }

    fn arguments(command: &clap::Command) -> Vec<String> {
        let own = |argument: &&clap::Arg| argument.get_id() != "version";
        let arguments = command.get_arguments().filter(own);
        arguments.map(|argument| format!("{argument:?}")).collect()
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
