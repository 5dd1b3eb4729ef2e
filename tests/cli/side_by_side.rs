//! One script, run with the real SOPS and with a link called `sops` to our program: exit codes, outputs
//! and what is left behind have to be the same.
//!
//! A line is a command of the shell. Sealed texts differ in every byte, so of an output with ciphertext
//! only the keys are compared, and of a sealed file what the real SOPS opens it to, and its `sops` block
//! without what is random.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::key_file::public_key;
use crate::vectors::{parts, sops};

/// The script. `$A`, `$B` are recipients, of which `A` can open.
const LINES: &[&str] = &[
    // === encrypt ===
    "sops encrypt --age $A p.yaml > s.yaml",
    "sops encrypt --age $A,$B --encrypted-regex '^(b|c)$' --output r.yaml p.yaml",
    "sops encrypt -a $A --unencrypted-suffix _open p.yaml > u.yaml",
    "sops encrypt -a $A --encrypted-suffix _x p.yaml > v.yaml",
    "sops encrypt -a $A --unencrypted-regex '^a$' p.yaml > w.yaml",
    "sops --mac-only-encrypted encrypt -a $A --encrypted-regex '^b$' p.yaml > m.yaml",
    "sops encrypt -a $A --input-type yaml --output-type json p.yaml > x.json",
    "sops encrypt -a $A --output-type json dates.yaml > dates.json; grep -o type:[a-z]* dates.json; sops decrypt --output-type yaml dates.json",
    "sops encrypt -a $A --filename-override y.yaml < p.yaml > y.yaml",
    "cp p.json i.json; sops encrypt -i -a $A i.json",
    "sops --indent 2 encrypt -a $A p.json > n.json",
    "sops encrypt -a $A p.env > s.env",
    "sops encrypt -a $A p.ini > s.ini",
    "sops encrypt -a $A p.bin > s.bin",
    "SOPS_AGE_RECIPIENTS=$A sops encrypt p.yaml > e.yaml",
    "sops -e -a $A --encrypted-comment-regex enc p.yaml > ec.yaml",
    "sops -e -a $A --unencrypted-comment-regex note p.yaml > uc.yaml",
    "sops --config conf.yaml encrypt p.yaml > c.yaml",
    "SOPS_CONFIG=conf.yaml sops encrypt p.json > c.json",
    "sops encrypt -a $A --shamir-secret-sharing-threshold 2 p.yaml > t.yaml",
    "sops --config groups.yaml encrypt p.yaml > g.yaml",
    // === decrypt ===
    "sops decrypt s.yaml",
    "sops decrypt r.yaml",
    "sops -d x.json",
    "sops decrypt n.json",
    "sops completion xx",
    "sops decrypt s.env",
    "sops decrypt s.ini",
    "sops decrypt s.bin",
    "sops decrypt g.yaml",
    "sops decrypt --output-type json s.yaml",
    "sops decrypt s.yaml --output-type=dotenv",
    "sops decrypt --extract '[\"c\"]' s.yaml",
    "sops decrypt --extract '[\"c\"][\"e\"][1]' --output-type json s.yaml",
    "sops -d --extract '[\"b\"]' s.yaml",
    "sops decrypt --output out.yaml s.yaml",
    "ln -s through.yaml link.yaml; umask 002; sops decrypt --output link.yaml s.yaml; stat -c %a link.yaml through.yaml",
    "cp s.yaml d.yaml; sops decrypt -i d.yaml",
    "sops decrypt --input-type yaml --output-type yaml < s.yaml",
    "sops decrypt --filename-override z.yaml < s.yaml",
    "sops decrypt --decryption-order pgp,age s.yaml",
    "SOPS_DECRYPTION_ORDER=age sops decrypt --enable-local-keyservice s.yaml",
    "sops --verbose decrypt s.yaml 2> /dev/null",
    "sops --output-type json decrypt s.yaml",
    "sed 's/^a: .*/a: 5/' m.yaml > m2.yaml; sops decrypt m2.yaml",
    "sed 's/^a_open: .*/a_open: 6/' u.yaml > u2.yaml; sops decrypt --ignore-mac u2.yaml",
    // === set, unset ===
    "sops set s.yaml '[\"b\"]' '\"new\"'",
    "sops set s.yaml '[\"c\"][\"e\"][9]' '{\"x\": true}'",
    "sops set --idempotent s.yaml '[\"b\"]' '\"new\"'",
    "echo '\"from file\"' > value; sops set --value-file s.yaml '[\"f\"]' value",
    "echo 'null' | sops set --value-stdin s.yaml '[\"g\"]'",
    "sops --set '[\"h\"] \"legacy\"' s.yaml",
    "sops unset s.yaml '[\"h\"]'",
    "sops unset --idempotent s.yaml '[\"nope\"]'",
    "sops set s.env '[\"NEW\"]' '\"v\"'; sops unset s.ini '[\"s\"][\"b\"]'; sops set s.bin '[\"data\"]' '\"t\"'",
    "sops set s.yaml '[\"n\"]' -3; sops set s.yaml '[\"n\"]' -- -4; sops set s.yaml -- '[\"m\"]' -5",
    "sops unset s.yaml -- '[\"m\"]'",
    "sops decrypt s.yaml",
    "sops decrypt s.env",
    "sops decrypt s.ini",
    "sops decrypt s.bin",
    // === keys ===
    "sops rotate -i s.yaml",
    "sops rotate --add-age $B s.yaml > rot.yaml",
    "sops rotate -i --add-age $B s.yaml; sops rotate -i --rm-age $B s.yaml",
    "sops -r -i s.yaml",
    "sops rotate --output o.yaml s.yaml",
    "sops --config conf.yaml updatekeys -y s.yaml 2> /dev/null",
    "sops --config conf.yaml updatekeys -y s.yaml 2> /dev/null",
    "echo n | sops --config groups.yaml updatekeys s.yaml 2> /dev/null",
    "sops --config groups.yaml updatekeys --yes --input-type yaml s.yaml y.yaml 2> /dev/null",
    "cp e.yaml ga.yaml; sops groups add -f ga.yaml --age $A -i",
    "sops groups add --file ga.yaml --age $A --shamir-secret-sharing-threshold 2 --in-place",
    "sops groups delete -f ga.yaml -i 1",
    "sops decrypt ga.yaml",
    // === edit ===
    "EDITOR=\"sed -i s/text/edited/\" sops edit e.yaml",
    "SOPS_EDITOR=\"sed -i s/edited/again/\" sops e.yaml",
    "EDITOR='sh -c \"echo x: 1 > $0\"' sops edit -a $A new.yaml; sops decrypt new.yaml",
    "sops decrypt e.yaml",
    // === running ===
    "sops exec-env f.yaml 'echo $x-$y'",
    "sops exec-env --pristine f.yaml 'echo $x-$HOME'",
    "sops exec-env --same-process f.yaml 'echo $x'",
    "sops exec-file f.yaml 'cat {}'",
    "sops exec-file --no-fifo --filename n.txt f.yaml 'basename {}'",
    "sops exec-file --output-type json f.yaml 'cat {}'",
    "sops exec-env f.yaml -- 'echo $x'",
    "sops exec-env f.yaml --pristine -- 'echo $x'",
    "sops exec-env f.yaml -- -- 'echo $x'",
    "sops exec-file f.yaml -- 'cat {}'",
    "sops exec-env --user nobody f.yaml 'echo $x $HOME $USER $LOGNAME'",
    "sops exec-env --user nobody --pristine account.yaml 'echo $HOME $USER $LOGNAME'",
    "sops exec-env --user nobody --same-process account.yaml 'echo $HOME $USER $LOGNAME'",
    "sops exec-file --user nobody --no-fifo f.yaml 'echo $HOME $USER $LOGNAME'",
    "sops filestatus s.yaml; sops filestatus p.yaml; sops filestatus --input-type json x.json",
    // === exit codes ===
    "sops decrypt p.yaml",
    "sops decrypt --nope s.yaml > /dev/null",
    "sops decrypt p.dir",
    "sops encrypt -a $A bad.yaml",
    "sops decrypt --output no/where s.yaml",
    "sops --indent -1 encrypt -a $A p.yaml",
    "sops set s.yaml b 1",
    "sops set s.yaml '[\"b\"]' '[1]'",
    "sops decrypt -i --output x s.yaml",
    "sops encrypt -a $A < p.yaml",
    "sops encrypt -a $A --encrypted-regex a --encrypted-suffix b p.yaml",
    "sops encrypt -a $A key.yaml",
    "sed 's/^a: ENC.AES256_GCM,data:..../a: ENC[AES256_GCM,data:AAAA/' e.yaml > bad25.yaml; sops decrypt bad25.yaml",
    "sops rotate --add-age $A missing.yaml",
    "sops -r --add-age $A missing.yaml",
    "grep -v '^    mac:' e.yaml > bad51.yaml; sops decrypt bad51.yaml",
    "sops decrypt --extract a s.yaml",
    "sops decrypt --extract '[\"nope\"]' y.yaml",
    ": > empty.yaml; sops encrypt -a $A empty.yaml",
    "sops decrypt missing.yaml; ",
    "sops edit",
    "sops set y.yaml '[\"a\"]'",
    "sops decrypt --decryption-order age,age y.yaml",
    "SOPS_AGE_KEY_FILE=/dev/null sops decrypt y.yaml",
    "EDITOR=true sops edit e.yaml",
    "EDITOR=false sops edit e.yaml",
    "sops encrypt -a $A e.yaml",
    "sops encrypt p.yaml",
    "sops set missing.yaml '[\"a\"]' 1",
    "sops exec-env missing.yaml true",
    "sops exec-env f.yaml 'exit 7'",
    "sops exec-env f.yaml",
    "sops updatekeys -y e.yaml",
    "sops groups delete -f e.yaml",
    "sops help nope",
];

#[test]
#[ignore = "needs the real sops: make test"]
fn a_link_called_sops_behaves_as_sops_does() {
    let theirs = Side::new(&sops());
    let ours = Side::new(Path::new(env!("CARGO_BIN_EXE_sealctl")));
    assert!(LINES.len() >= 100);
    let mut wrong = Vec::new();
    for line in LINES {
        let (want, got) = (theirs.run(line), ours.run(line));
        if want.code != got.code {
            wrong.push(format!(
                "{line}\n  exit {} instead of {}\n  theirs: {}\n  ours: {}",
                got.code, want.code, want.errors, got.errors
            ));
        } else if !same(&want.output, &got.output) {
            let (want, got) = (
                String::from_utf8_lossy(&want.output),
                String::from_utf8_lossy(&got.output),
            );
            wrong.push(format!("{line}\n  theirs:\n{want}\n  ours:\n{got}"));
        }
    }
    let (want, got) = (theirs.left(), ours.left());
    assert_eq!(
        want.keys().collect::<Vec<_>>(),
        got.keys().collect::<Vec<_>>(),
        "files left behind"
    );
    for (file, want) in &want {
        let (want, got) = (theirs.opened(file, want), theirs.opened(file, &got[file]));
        if !same(&want, &got) {
            let (want, got) = (
                String::from_utf8_lossy(&want),
                String::from_utf8_lossy(&got),
            );
            wrong.push(format!("{file}\n  theirs:\n{want}\n  ours:\n{got}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Byte for byte, or the same tree with the same comments.
fn same(want: &[u8], got: &[u8]) -> bool {
    want == got || parts(want).is_some_and(|want| parts(got) == Some(want))
}

/// A scratch folder with one of the programs in its `PATH`.
struct Side {
    folder: tempfile::TempDir,
}

struct Ran {
    code: i32,
    output: Vec<u8>,
    errors: String,
}

impl Side {
    fn new(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "home", "work", "work/p.dir"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink(program, folder.path().join("bin/sops")).unwrap();
        let side = Self { folder };
        let (a, b) = (public("alice"), public("bob"));
        for (file, text) in [
            ("p.yaml", "# note\na: 1\nb: text # enc\nc:\n    d: true\n    e:\n        - 1\n        - x\na_open: 2\nb_x: 3\n".to_owned()),
            ("p.json", "{\n\t\"a\": 1.5,\n\t\"b\": {\"c\": [null, \"<x>\"]}\n}\n".to_owned()),
            ("p.env", "# c\nA=1\nB=x=y\n".to_owned()),
            ("p.ini", "; c\n[s]\na = 1\nb = 2\n".to_owned()),
            ("p.bin", "raw\n\u{1}".to_owned()),
            ("bad.yaml", "a: [\n".to_owned()),
            ("key.yaml", "1: a\n".to_owned()),
            ("dates.yaml", "since: 2024-01-15\nuntil: [2024-01-15T10:00:00Z, 1.5]\n".to_owned()),
            ("conf.yaml", format!("creation_rules:\n  - path_regex: p\\.\n    age: {a},{b}\n    encrypted_regex: b\n  - age: [{a}, {b}]\n")),
            ("groups.yaml", format!("creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n      - age: [{a}]\n      - age: [{a}, {b}]\n")),
        ] {
            fs::write(side.work().join(file), text).unwrap();
        }
        fs::write(side.work().join("plain-f.yaml"), "x: one\ny: 2\n").unwrap();
        side.run("sops encrypt -a $A plain-f.yaml > f.yaml");
        fs::write(
            side.work().join("plain-account.yaml"),
            "HOME: /of-file\nUSER: of-file\n",
        )
        .unwrap();
        side.run("sops encrypt -a $A plain-account.yaml > account.yaml");
        side
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn run(&self, line: &str) -> Ran {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().join("bin").display());
        let output = Command::new("sh")
            .args(["-c", line])
            .current_dir(self.work())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path().join("home"))
            .env("LANG", "C.UTF-8")
            .env("SOPS_AGE_KEY_FILE", key("alice"))
            .env("SOPS_DISABLE_VERSION_CHECK", "true")
            .env("A", public("alice"))
            .env("B", public("bob"))
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            output: without_random(&output.stdout),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The files of the folder.
    fn left(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.work())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.is_file());
        files
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read(path).unwrap())
            })
            .collect()
    }

    /// What this side opens `content` to, and of its `sops` block what is not random; a file that it does
    /// not open, without what is random.
    fn opened(&self, file: &str, content: &[u8]) -> Vec<u8> {
        let place = self.work().join("opened");
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(file), content).unwrap();
        let opened = self.run(&format!("sops decrypt opened/{file}"));
        if opened.code == 0 {
            return opened.output;
        }
        without_random(content)
    }
}

/// `text` with ciphertext, wrapped keys and dates replaced.
fn without_random(text: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else {
        return text.to_vec();
    };
    let random = regex::Regex::new(
        r"(?s)ENC\[[^\]]*\]|-----BEGIN AGE ENCRYPTED FILE-----.*?-----END AGE ENCRYPTED FILE-----|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    )
    .unwrap();
    random.replace_all(text, "RANDOM").into_owned().into_bytes()
}

fn key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/keys/{name}.txt"))
}

fn public(name: &str) -> String {
    public_key(&key(name))
}
