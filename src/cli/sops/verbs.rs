//! The commands of SOPS and their flags, as data: the parser and the help read the same tables.
//!
//! What a flag does is not known here. The words of the flags of `decrypt` are those that scripts see
//! in SOPS; flags of key services other than age are taken, so that a command line with them is
//! understood.

use super::flags::{Flag, Takes};

/// A command.
#[derive(Debug)]
pub(super) struct Verb {
    /// Its name; two words for `groups add`.
    pub(super) name: &'static str,
    /// What stands behind it in the help.
    pub(super) usage: &'static str,
    /// One line of help.
    pub(super) about: &'static str,
    /// Its flags by groups.
    flags: &'static [&'static [&'static Flag]],
}

impl Verb {
    /// Its flags, in the order of the help.
    pub(super) fn flags(&self) -> Vec<&'static Flag> {
        self.flags.concat()
    }
}

const fn flag(name: &'static str, takes: Takes, about: &'static str) -> Flag {
    Flag {
        name,
        short: "",
        takes,
        variable: None,
        about,
    }
}

const fn short(short: &'static str, flag: Flag) -> Flag {
    Flag { short, ..flag }
}

const fn variable(variable: &'static str, flag: Flag) -> Flag {
    Flag {
        variable: Some(variable),
        ..flag
    }
}

macro_rules! flags {
    ($($name:ident = $flag:expr;)*) => { $(static $name: Flag = $flag;)* };
}

use Takes::{Nothing, Number, Text, Texts};

flags! {
    // === what is done, without a subcommand ===
    DECRYPT_MODE = short("d", flag("decrypt", Nothing, "open a file and print it"));
    ENCRYPT_MODE = short("e", flag("encrypt", Nothing, "seal a file and print it"));
    ROTATE_MODE = short("r", flag("rotate", Nothing, "seal a file again with a new data key"));
    SET_MODE = flag("set", Text, "path and JSON value to set, such as '[\"key\"][0] \"value\"'");
    NO_CHECK = variable("SOPS_DISABLE_VERSION_CHECK", flag("disable-version-check", Nothing, "nothing is ever looked up"));
    CHECK = flag("check-for-updates", Nothing, "taken, does nothing: no request is made");
    VERSION = short("v", flag("version", Nothing, "print the version"));
    CONFIG = variable("SOPS_CONFIG", flag("config", Text, "configuration file; no other one is searched for"));
    INDENT = flag("indent", Number, "blanks by which YAML and JSON are indented (default: 0)");
    VERBOSE = flag("verbose", Nothing, "say more");
    MAC_ONLY = flag("mac-only-encrypted", Nothing, "authenticate encrypted values only");
    // === output ===
    IN_PLACE = short("i", flag("in-place", Nothing, "write output back to the same file instead of stdout"));
    OUTPUT = flag("output", Text, "Save the output after decryption to the file specified");
    INPUT_TYPE = flag("input-type", Text, "currently json, yaml, dotenv, ini and binary are supported. If not set, sops will use the file's extension to determine the type");
    OUTPUT_TYPE = flag("output-type", Text, "currently json, yaml, dotenv, ini and binary are supported. If not set, sops will use the input file's extension to determine the output format");
    OVERRIDE = flag("filename-override", Text, "Use this filename instead of the provided argument for loading configuration, and for determining input type and output type. Should be provided when reading from stdin.");
    // === opening ===
    EXTRACT = flag("extract", Text, "extract a specific key or branch from the input document. Example: --extract '[\"somekey\"][0]'");
    IGNORE_MAC = flag("ignore-mac", Nothing, "ignore Message Authentication Code during decryption");
    ORDER = variable("SOPS_DECRYPTION_ORDER", flag("decryption-order", Text, "comma separated list of decryption key types"));
    LOCAL = variable("SOPS_ENABLE_LOCAL_KEYSERVICE", flag("enable-local-keyservice", Nothing, "use local key service"));
    SERVICE = variable("SOPS_KEYSERVICE", flag("keyservice", Texts, "Specify the key services to use in addition to the local one. Can be specified more than once. Syntax: protocol://address. Example: tcp://myserver.com:5000"));
    // === keys of a new file ===
    AGE = short("a", variable("SOPS_AGE_RECIPIENTS", flag("age", Text, "age and SSH recipients, with commas between them")));
    PGP = short("p", variable("SOPS_PGP_FP", flag("pgp", Text, "PGP fingerprints; not written here")));
    KMS = short("k", variable("SOPS_KMS_ARN", flag("kms", Text, "keys of AWS KMS; not written here")));
    PROFILE = flag("aws-profile", Text, "profile for AWS; not used here");
    GCP = variable("SOPS_GCP_KMS_IDS", flag("gcp-kms", Text, "keys of GCP KMS; not written here"));
    HUAWEI = variable("SOPS_HUAWEICLOUD_KMS_IDS", flag("hckms", Text, "keys of Huawei Cloud; not written here"));
    AZURE = variable("SOPS_AZURE_KEYVAULT_URLS", flag("azure-kv", Text, "keys of Azure Key Vault; not written here"));
    VAULT = variable("SOPS_VAULT_URIS", flag("hc-vault-transit", Text, "keys of HashiCorp Vault; not written here"));
    CONTEXT = flag("encryption-context", Text, "context for AWS KMS; not used here");
    THRESHOLD = flag("shamir-secret-sharing-threshold", Number, "how many key groups open the file (default: 0)");
    // === selection ===
    UNENCRYPTED_SUFFIX = flag("unencrypted-suffix", Text, "leave in clear what lies below a key with this suffix");
    ENCRYPTED_SUFFIX = flag("encrypted-suffix", Text, "encrypt only what lies below a key with this suffix");
    UNENCRYPTED_REGEX = flag("unencrypted-regex", Text, "leave in clear what lies below a key that matches");
    ENCRYPTED_REGEX = flag("encrypted-regex", Text, "encrypt only what lies below a key that matches");
    UNENCRYPTED_COMMENT = flag("unencrypted-comment-regex", Text, "leave in clear what stands below a comment that matches");
    ENCRYPTED_COMMENT = flag("encrypted-comment-regex", Text, "encrypt only what stands below a comment that matches");
    // === changes ===
    SHOW_KEYS = short("s", flag("show-master-keys", Nothing, "show the sops block in the editor, too"));
    VALUE_FILE = flag("value-file", Nothing, "the value is the name of a file that holds it");
    VALUE_STDIN = flag("value-stdin", Nothing, "read the value from standard input");
    IDEMPOTENT = flag("idempotent", Nothing, "leave the file alone when nothing would change");
    YES = short("y", flag("yes", Nothing, "ask nothing"));
    GROUP_FILE = short("f", flag("file", Text, "the file to change"));
    // === keys of an existing file ===
    ADD_AGE = flag("add-age", Text, "age and SSH recipients to add, with commas between them");
    RM_AGE = flag("rm-age", Text, "age and SSH recipients to take out, with commas between them");
    ADD_PGP = flag("add-pgp", Text, "PGP fingerprints to add; not written here");
    RM_PGP = flag("rm-pgp", Text, "PGP fingerprints to take out");
    ADD_KMS = flag("add-kms", Text, "keys of AWS KMS to add; not written here");
    RM_KMS = flag("rm-kms", Text, "keys of AWS KMS to take out");
    ADD_GCP = flag("add-gcp-kms", Text, "keys of GCP KMS to add; not written here");
    RM_GCP = flag("rm-gcp-kms", Text, "keys of GCP KMS to take out");
    ADD_HUAWEI = flag("add-hckms", Text, "keys of Huawei Cloud to add; not written here");
    RM_HUAWEI = flag("rm-hckms", Text, "keys of Huawei Cloud to take out");
    ADD_AZURE = flag("add-azure-kv", Text, "keys of Azure Key Vault to add; not written here");
    RM_AZURE = flag("rm-azure-kv", Text, "keys of Azure Key Vault to take out");
    ADD_VAULT = flag("add-hc-vault-transit", Text, "keys of HashiCorp Vault to add; not written here");
    RM_VAULT = flag("rm-hc-vault-transit", Text, "keys of HashiCorp Vault to take out");
    GROUP_AGE = flag("age", Texts, "recipient of the new group; may be repeated");
    GROUP_PGP = flag("pgp", Texts, "PGP fingerprint; not written here");
    GROUP_KMS = flag("kms", Texts, "key of AWS KMS; not written here");
    GROUP_GCP = flag("gcp-kms", Texts, "key of GCP KMS; not written here");
    GROUP_HUAWEI = flag("hckms", Texts, "key of Huawei Cloud; not written here");
    GROUP_AZURE = flag("azure-kv", Texts, "key of Azure Key Vault; not written here");
    GROUP_VAULT = flag("hc-vault-transit", Texts, "key of HashiCorp Vault; not written here");
    // === running a command ===
    BACKGROUND = flag("background", Nothing, "do not wait for the command (deprecated)");
    PRISTINE = flag("pristine", Nothing, "give the command no variables but those of the file");
    USER = flag("user", Text, "run the command as this user");
    SAME_PROCESS = flag("same-process", Nothing, "as it is anyway: the command takes the place of this process");
    NO_FIFO = flag("no-fifo", Nothing, "hand over a regular file instead of a pipe with a name");
    FILE_NAME = flag("filename", Text, "name of the file that is handed over (default: tmp-file)");
}

// Flags that several commands take, in the order of the help.
static SERVICES: [&Flag; 2] = [&LOCAL, &SERVICE];
static TYPES: [&Flag; 2] = [&INPUT_TYPE, &OUTPUT_TYPE];
static NEW_KEYS: [&Flag; 8] = [&KMS, &PROFILE, &GCP, &HUAWEI, &AZURE, &VAULT, &PGP, &AGE];
static OTHER_KEYS: [&Flag; 14] = [
    &ADD_GCP,
    &RM_GCP,
    &ADD_HUAWEI,
    &RM_HUAWEI,
    &ADD_AZURE,
    &RM_AZURE,
    &ADD_KMS,
    &RM_KMS,
    &ADD_VAULT,
    &RM_VAULT,
    &ADD_AGE,
    &RM_AGE,
    &ADD_PGP,
    &RM_PGP,
];
static RULES: [&Flag; 4] = [
    &UNENCRYPTED_SUFFIX,
    &ENCRYPTED_SUFFIX,
    &UNENCRYPTED_REGEX,
    &ENCRYPTED_REGEX,
];

/// The flags of a command line without subcommand.
pub(super) static LEGACY: Verb = Verb {
    name: "",
    usage: "[global options] command [command options] [file]",
    about: "open, seal and change files of SOPS",
    flags: &[
        &[
            &DECRYPT_MODE,
            &ENCRYPT_MODE,
            &ROTATE_MODE,
            &NO_CHECK,
            &CHECK,
        ],
        &NEW_KEYS,
        &[&IN_PLACE, &EXTRACT],
        &TYPES,
        &[&SHOW_KEYS],
        &OTHER_KEYS,
        &[&IGNORE_MAC, &MAC_ONLY],
        &RULES,
        &[
            &UNENCRYPTED_COMMENT,
            &ENCRYPTED_COMMENT,
            &CONFIG,
            &CONTEXT,
            &SET_MODE,
            &THRESHOLD,
            &INDENT,
            &VERBOSE,
            &OUTPUT,
            &OVERRIDE,
            &ORDER,
        ],
        &SERVICES,
        &[&VERSION],
    ],
};

/// Key services whose keys are kept, but cannot be written: the names of their flags, and the ends of those of
/// `--add-…` and `--rm-…`.
pub(super) const OTHER_SERVICES: [&str; 6] = [
    "pgp",
    "kms",
    "gcp-kms",
    "hckms",
    "azure-kv",
    "hc-vault-transit",
];

/// Global flags that a subcommand looks at, too.
pub(super) const GLOBAL: [&str; 6] = [
    "config",
    "indent",
    "mac-only-encrypted",
    "verbose",
    "disable-version-check",
    "check-for-updates",
];

/// The subcommands.
pub(super) static VERBS: [Verb; 15] = [
    Verb {
        name: "exec-env",
        usage: "[file to decrypt] [command to run]",
        about: "run a command with the values of a file as variables",
        flags: &[
            &[&BACKGROUND, &PRISTINE, &USER, &SAME_PROCESS, &ORDER],
            &SERVICES,
        ],
    },
    Verb {
        name: "exec-file",
        usage: "[file to decrypt] [command to run]",
        about: "run a command with the opened file under a temporary name",
        flags: &[
            &[&BACKGROUND, &NO_FIFO, &USER],
            &TYPES,
            &[&FILE_NAME, &ORDER],
            &SERVICES,
        ],
    },
    Verb {
        name: "publish",
        usage: "",
        about: "not offered here",
        flags: &[],
    },
    Verb {
        name: "keyservice",
        usage: "",
        about: "not offered here",
        flags: &[],
    },
    Verb {
        name: "filestatus",
        usage: "file",
        about: "say whether a file is sealed",
        flags: &[&[&INPUT_TYPE]],
    },
    Verb {
        name: "groups",
        usage: "command [command options] [arguments...]",
        about: "add or delete a key group of a file",
        flags: &[],
    },
    Verb {
        name: "groups add",
        usage: "[arguments...]",
        about: "add a key group to a file",
        flags: &[
            &[
                &GROUP_FILE,
                &GROUP_PGP,
                &GROUP_KMS,
                &PROFILE,
                &GROUP_GCP,
                &GROUP_HUAWEI,
                &GROUP_AZURE,
                &GROUP_VAULT,
                &GROUP_AGE,
                &IN_PLACE,
                &THRESHOLD,
                &CONTEXT,
            ],
            &SERVICES,
        ],
    },
    Verb {
        name: "groups delete",
        usage: "[index]",
        about: "delete a key group of a file",
        flags: &[&[&GROUP_FILE, &IN_PLACE, &THRESHOLD], &SERVICES],
    },
    Verb {
        name: "updatekeys",
        usage: "file",
        about: "bring the keys of files up to the configuration",
        flags: &[&[&YES, &INPUT_TYPE], &SERVICES],
    },
    Verb {
        name: "decrypt",
        usage: "[file]",
        about: "decrypt a file, and output the results to stdout. If no filename is provided, stdin will be used.",
        flags: &[
            &[&IN_PLACE, &EXTRACT, &OUTPUT],
            &TYPES,
            &[&IGNORE_MAC, &OVERRIDE, &ORDER],
            &SERVICES,
        ],
    },
    Verb {
        name: "encrypt",
        usage: "[file]",
        about: "seal a file, or standard input",
        flags: &[
            &[&IN_PLACE, &OUTPUT],
            &NEW_KEYS,
            &TYPES,
            &RULES,
            &[&CONTEXT, &THRESHOLD, &OVERRIDE],
            &SERVICES,
        ],
    },
    Verb {
        name: "rotate",
        usage: "file",
        about: "seal a file again with a new data key",
        flags: &[
            &[&IN_PLACE, &OUTPUT],
            &TYPES,
            &[&CONTEXT],
            &OTHER_KEYS,
            &[&OVERRIDE, &ORDER],
            &SERVICES,
        ],
    },
    Verb {
        name: "edit",
        usage: "file",
        about: "edit a sealed file, or a new one",
        flags: &[
            &NEW_KEYS,
            &TYPES,
            &RULES,
            &[&CONTEXT, &THRESHOLD, &SHOW_KEYS, &IGNORE_MAC, &ORDER],
            &SERVICES,
        ],
    },
    Verb {
        name: "set",
        usage: "file index [ value ]",
        about: "give a key of a file a value, written in JSON",
        flags: &[
            &TYPES,
            &[
                &VALUE_FILE,
                &VALUE_STDIN,
                &THRESHOLD,
                &IGNORE_MAC,
                &ORDER,
                &IDEMPOTENT,
            ],
            &SERVICES,
        ],
    },
    Verb {
        name: "unset",
        usage: "file index",
        about: "take a key out of a file",
        flags: &[
            &TYPES,
            &[&THRESHOLD, &IGNORE_MAC, &ORDER, &IDEMPOTENT],
            &SERVICES,
        ],
    },
];

/// The subcommand called `name`.
pub(super) fn find(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name)
}

/// The name of the subcommand that `word` is a mistyped form of: at most two letters missing, too many
/// or wrong.
pub(super) fn meant(word: &str) -> Option<&'static str> {
    let looks_like_a_verb = word
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if !looks_like_a_verb || word.len() < 3 || word.len() > 20 {
        return None;
    }
    let names = VERBS.iter().map(|verb| verb.name);
    let near = names.map(|name| (distance(word, name), name));
    let (distance, name) = near.min()?;
    (distance <= 2 && distance * 2 < word.len()).then_some(name)
}

/// How many letters have to be changed, taken out or put in between two words.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<u8> = other.bytes().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, mine) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, theirs) in other.iter().enumerate() {
            let changed = diagonal + usize::from(mine != *theirs);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_command_is_noticed_and_a_file_name_is_not() {
        assert_eq!(meant("decrpyt"), Some("decrypt"));
        assert_eq!(meant("udpatekeys"), Some("updatekeys"));
        for name in ["secrets", "secrets.yaml", "env", "production", "a"] {
            assert_eq!(meant(name), None, "{name}");
        }
    }

    #[test]
    fn no_command_has_a_flag_twice() {
        for verb in VERBS.iter().chain([&LEGACY]) {
            let mut names: Vec<&str> = verb
                .flags()
                .iter()
                .flat_map(|flag| [flag.name, flag.short])
                .filter(|name| !name.is_empty())
                .collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{}", verb.name);
        }
    }
}
