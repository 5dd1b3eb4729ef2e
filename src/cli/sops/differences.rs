//! What the drop-in does otherwise than SOPS, and why: the text of `sealctl help sops-compat`.

/// The page.
pub(crate) const SOPS_COMPAT: &str = "\
sealctl sops, and sealctl called by the name sops, take the command line of SOPS 3.13.

Not offered: publish, keyservice and remote key services. Keys of PGP are opened through gpg and
never written; entries of other key services are kept as they are, and a new data key is refused
where they would be lost.

What differs, each time to lose less:

    a file is replaced as a whole or not at all; SOPS truncates it and writes. Links are followed,
        mode, owner and extended attributes are kept, and a file that somebody else changed meanwhile is not overwritten
    a file that cannot be replaced by renaming (mounted alone, a closed directory, other names by
        hard links, an owner that cannot be given to the new one) is refused
    the layout of YAML and JSON is kept: blank lines, indentation, flow style, line ends, the quotes that
        are there; a comment behind a value stays there, SOPS prints it above. Values are spelled as SOPS
        does (more quotes, no folded lines), and YAML with anchors, aliases, merge keys, tags, directives or
        keys behind ? is printed anew, as SOPS prints it
    a full disk is said with exit 3 by --output (SOPS: 1) and with 1 by filestatus (SOPS: nothing, 0)
    fields of the sops block that nobody knows stay when a file is rewritten; SOPS drops them
    a text of several lines that begins with a tab keeps its value in YAML; SOPS prints null
    -0.0 that a rule leaves in clear can be read back; SOPS writes -0 and then refuses its own file
    comments at the end of an INI section stay, and those of a list and of its first item both
    the digit of a block text that begins with a blank is the one that reads back
    text behind the root of a JSON file does not stay in clear in the sealed one
    a null that becomes a text in another format (dotenv) is encrypted; SOPS writes <nil> in clear
    a comment that was put where a value belongs is refused at its place (exit 25), not only by the MAC
        over the whole file (exit 51)
    a value with a nonce of another length than 32 bytes can be changed; SOPS crashes
    a selection regex that is none is reported; SOPS ignores it without a word
    a path that leads into a value, below a list by a name, or to a negative index is refused with
        exit 7 or 91; SOPS crashes
    set at an index that leads into a map is refused with exit 7; SOPS reports success and writes nothing of it
    --extract refuses an index that names a comment of a list (indexes count comments, as in SOPS); SOPS
        prints its own data structure
    a reader that goes away (| head) ends the output quietly with exit 0; SOPS dies of SIGPIPE (141)
    a comment that cannot be read again where it stands (between lines of YAML that are indented otherwise)
        is warned about, or moved by encrypt and set, which then print the file anew, as SOPS does; inside empty
        brackets, or between two items of a list with an empty line behind it, it may be lost, as in SOPS,
        but not without a warning
    a comment that does not decrypt is warned about with its line, without its text
    set keeps whole numbers exact; SOPS makes every JSON number a float, so that 1000000 becomes 1e+06
    set refuses an object in which a key stands twice; SOPS writes a file that it cannot read
    edit -s names the keys on standard error and saves what was changed; SOPS shows its block in the
        editor and throws the changes away
    edit with broken text returns to the editor and shows the error; what was typed stays. Without any
        input to read Enter from it ends; SOPS opens the editor for ever
    the command of exec-env takes the place of sops, as with --same-process: no second process keeps the
        values, and a command that a signal ends is seen as such (137 in a shell); SOPS exits with 255
    edit and exec-file work in memory (a memory file system) where there is one; what a killed call
        left there is removed by the next one, once its editor has ended, too
    groups delete refuses an index that is none and the last group; SOPS crashes, or writes a file
        that nobody can open
    groups add refuses a recipient that is none; SOPS makes an empty group. It refuses a threshold of 1 or
        of more than there are groups, with which nobody could open the file
    -- behind the file ends the flags where a switch stands before the file, too; SOPS counts it as an argument
    a flag before the subcommand, which SOPS ignores in silence, is warned about
    a mistyped command (sops decrpyt) is refused; SOPS opens an editor for a new file of that name
    set and other commands that write in place refuse a pipe that nobody reads; SOPS writes into it all the same
    exec-env hands over nothing for a null; SOPS hands over the word <nil>. set refuses a null in dotenv; SOPS
        writes a file that it cannot read
    a comment whose ciphertext the comment regex hits gets another nonce, or is refused where every
        ciphertext is a hit (a pattern such as comment); SOPS seals a file that it cannot open
    a comment of INI that begins with an empty line stays; SOPS crashes when it opens its own file
    --version makes no network request

What is wider: %YAML of another version than 1.1, unknown directives and a broken %TAG are passed over,
since nothing of them is kept; SOPS refuses them.

What is narrower: maps and lists may lie 500 levels deep in each other (SOPS: 10,000), since what works
on them calls itself once per level and must not run out of stack, and a wrapped key may have 16 KiB.
";
