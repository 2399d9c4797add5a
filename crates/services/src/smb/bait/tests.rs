use std::{fs, os::unix::fs::symlink};

use super::*;

fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn find(folder: &Folder, path: &str) -> Result<String, Missing> {
    folder.find(&utf16(path)).map(|id| folder.path(id))
}

fn names(folder: &Folder, path: &str, pattern: &str) -> Vec<String> {
    let id = folder.find(&utf16(path)).expect("a folder");
    folder.list(id, pattern).map(|node| node.name.clone()).collect()
}

/// A folder of the operator's, with a secret beside it.
fn disk() -> tempfile::TempDir {
    let temp = tempfile::tempdir().expect("a folder");
    let root = temp.path().join("share");
    fs::create_dir_all(root.join("Data/Old")).expect("folders");
    fs::write(temp.path().join("secret.txt"), "outside").expect("a file");
    fs::write(root.join("Data/plan.txt"), "inside").expect("a file");
    fs::write(root.join("Data/CON"), "no device").expect("a file");
    fs::write(root.join("Data/caf\u{e9}.txt"), "one letter").expect("a file");
    fs::write(root.join("Data/A long name.with dots.html"), "long").expect("a file");
    temp
}

fn load(temp: &tempfile::TempDir) -> (Folder, Vec<String>) {
    Folder::load(Some(&temp.path().join("share")))
}

#[test]
fn the_sample_is_listed_and_read() {
    let (folder, problems) = Folder::load(None);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(names(&folder, "", "*"), ["Finance", "HR", "IT", "Projects", "Readme.txt"]);
    let id = folder.find(&utf16("it\\ADMIN passwords.TXT")).expect("it is there");
    assert_eq!(folder.path(id), "IT\\admin passwords.txt");
    let node = folder.node(id).expect("it is there");
    let all = folder.read(id, 0, usize::MAX).expect("it can be read");
    assert_eq!(u64::try_from(all.len()).ok(), Some(node.size));
    assert!(all.starts_with(b"DO NOT SHARE"));
    assert_eq!(folder.read(id, 3, 3).expect("a part"), b"NOT");
    let rest = folder.read(id, 3, usize::MAX).expect("the rest");
    assert_eq!(rest, all.get(3..).expect("as long"));
    assert_eq!(folder.read(id, node.size, 10).expect("nothing beyond").len(), 0);
    assert_eq!(folder.read(id, u64::MAX, usize::MAX).expect("nothing beyond").len(), 0);
    assert!(folder.size() < 200_000, "the sample is in every binary");
}

#[test]
fn each_file_of_the_sample_is_what_its_name_says() {
    for (path, _, content) in sample::FILES {
        let magic: &[u8] = match path.rsplit_once('.').expect("a kind").1 {
            "docx" | "xlsx" => b"PK\x03\x04",
            "pdf" => b"%PDF-1.",
            "kdbx" => b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5",
            "rdp" => b"\xff\xfes\0c\0r\0",
            "xml" | "config" => b"<?xml ",
            "txt" | "csv" | "ps1" | "bat" | "ovpn" | "auth" => {
                let text = std::str::from_utf8(content).expect("text");
                assert_eq!(
                    text.matches('\n').count(),
                    text.matches("\r\n").count(),
                    "{path}: lines of Windows"
                );
                continue;
            }
            other => panic!("{other}"),
        };
        assert!(content.starts_with(magic), "{path}");
    }
}

/// What is tried to get out, and what becomes of it.
#[test]
fn nothing_outside_the_folder_can_be_reached() {
    use Missing::{Invalid, Name, Path, Stream};
    let temp = disk();
    let root = temp.path().join("share");
    symlink(temp.path().join("secret.txt"), root.join("link.txt")).expect("a link");
    symlink(temp.path(), root.join("linked")).expect("a link");
    symlink("..", root.join("Data/up")).expect("a link");
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::RUSR).expect("a pipe");
    let (folder, problems) = load(&temp);
    let told = problems.join("\n");
    assert_eq!(problems.len(), 4, "{told}");
    for path in ["link.txt", "linked", "Data/up", "pipe"] {
        assert!(told.contains(&format!("share/{path}: is ")), "{told}");
    }

    let long = "x".repeat(255);
    let longer = "x".repeat(256);
    let deep = "a\\".repeat(20_000);
    let absolute = temp.path().join("secret.txt").display().to_string();
    let backwards = absolute.replace('/', "\\");
    let tries: &[(&str, Missing)] = &[
        // Links are not in the index.
        ("link.txt", Name),
        ("linked", Name),
        ("linked\\secret.txt", Path),
        ("Data\\up", Name),
        ("Data\\up\\secret.txt", Path),
        // Up, in all spellings.
        ("..", Invalid),
        (".", Invalid),
        ("..\\secret.txt", Invalid),
        ("Data\\..\\..\\secret.txt", Invalid),
        ("Data\\..", Invalid),
        ("Data\\.\\plan.txt", Invalid),
        ("Data\\..\\", Invalid),
        ("../secret.txt", Invalid),
        ("Data/plan.txt", Invalid),
        ("...", Name),
        (".. \\secret.txt", Path),
        ("..\u{a0}\\secret.txt", Path),
        ("\u{2025}\\secret.txt", Path),
        ("\u{ff0e}\u{ff0e}\\secret.txt", Path),
        ("..\u{2215}secret.txt", Name),
        ("%2e%2e\\secret.txt", Path),
        ("..%5csecret.txt", Name),
        // Absolute and other roots.
        ("\\", Invalid),
        ("\\Data\\plan.txt", Invalid),
        ("\\\\files01\\c$\\secret.txt", Invalid),
        ("\\??\\C:\\secret.txt", Invalid),
        ("C:\\secret.txt", Invalid),
        ("\\Device\\HarddiskVolume1\\secret.txt", Invalid),
        (&absolute, Invalid),
        (&backwards, Invalid),
        // Devices are names like others.
        ("CON", Name),
        ("NUL", Name),
        ("COM1", Name),
        ("LPT1.txt", Name),
        ("CON\\plan.txt", Path),
        ("Data\\NUL", Name),
        ("Data\\con.txt", Name),
        ("pipe", Name),
        // Streams.
        ("Data\\plan.txt:hidden", Stream),
        ("Data\\plan.txt:hidden:$DATA", Stream),
        ("Data\\plan.txt::$INDEX_ALLOCATION", Stream),
        ("Data\\plan.txt::$EA", Stream),
        ("Data\\plan.txt:$DATA", Stream),
        ("Data::$DATA", Stream),
        ("Data:x:$DATA", Stream),
        (":x", Stream),
        (":", Invalid),
        ("Data\\plan.txt:", Invalid),
        ("Data\\plan.txt::", Invalid),
        ("Data\\plan.txt:a:$DATA:b", Invalid),
        ("Data:$I30:$INDEX_ALLOCATION\\plan.txt", Invalid),
        ("Data\\:x", Invalid),
        ("nothing.txt::$DATA", Name),
        // Files of NTFS itself.
        ("$MFT", Name),
        ("$Extend\\$UsnJrnl:$J:$DATA", Path),
        // Endings that Windows' programs take off, and its server does not.
        ("Data\\plan.txt.", Name),
        ("Data\\plan.txt ", Name),
        ("Data \\plan.txt", Path),
        ("Data.\\plan.txt", Path),
        ("Data\\plan.txt\\", Invalid),
        ("Data\\plan.txt\\more", Path),
        ("Data\\\\plan.txt", Invalid),
        ("Data\\Old\\\\", Invalid),
        // Characters that are in no name.
        ("Data\\plan.txt\0", Invalid),
        ("Data\\plan.txt\0.jpg", Invalid),
        ("Da\0ta", Invalid),
        ("Data\\plan\n.txt", Invalid),
        ("Data\\*", Invalid),
        ("Data\\pl?n.txt", Invalid),
        ("Data\\<.txt", Invalid),
        ("Data\\\"", Invalid),
        ("Data\\a|b", Invalid),
        // Lengths.
        (&long, Name),
        (&longer, Invalid),
        (&deep, Invalid),
        // Another form of the same letter is another letter.
        ("Data\\cafe\u{301}.txt", Name),
        ("Data\\plan\u{200b}.txt", Name),
        ("Data\\pl\u{430}n.txt", Name),
        ("Data\\plan.txt\u{fe0f}", Name),
        // Short names that are none.
        ("Data\\ALONGN~2.HTM", Name),
        ("Data\\PLAN~1.TXT", Name),
    ];
    for (path, missing) in tries {
        assert_eq!(find(&folder, path), Err(*missing), "{path:?}");
    }
    assert_eq!(folder.find(&[0xd800, 0x61]), Err(Name), "half a letter");
    assert_eq!(folder.find(&[0xd800, u16::from(b'\\'), 0x61]), Err(Path), "half a letter");
}

#[test]
fn a_path_leads_to_the_file_in_whatever_case_or_form_it_is_written() {
    let temp = disk();
    let (folder, problems) = load(&temp);
    assert_eq!(problems, Vec::<String>::new());
    let same: &[(&str, &str)] = &[
        ("", ""),
        ("Data", "Data"),
        ("data\\", "Data"),
        ("DATA\\PLAN.TXT", "Data\\plan.txt"),
        ("Data\\CAF\u{c9}.txt", "Data\\caf\u{e9}.txt"),
        ("Data\\plan.txt::$DATA", "Data\\plan.txt"),
        ("Data\\plan.txt::$data", "Data\\plan.txt"),
        ("Data:$I30:$INDEX_ALLOCATION", "Data"),
        ("Data::$INDEX_ALLOCATION", "Data"),
        ("::$INDEX_ALLOCATION", ""),
        ("Data\\con", "Data\\CON"),
        ("data\\alongn~1.htm", "Data\\A long name.with dots.html"),
    ];
    for (path, found) in same {
        assert_eq!(find(&folder, path).as_deref(), Ok(*found), "{path:?}");
    }
}

#[test]
fn a_file_that_became_a_link_or_another_is_not_read() {
    let temp = disk();
    let large = temp.path().join("share/large.bin");
    fs::write(&large, vec![7; 300 << 10]).expect("a large file");
    let (folder, _) = load(&temp);
    let id = folder.find(&utf16("large.bin")).expect("it is there");
    assert_eq!(folder.read(id, (300 << 10) - 2, 100).expect("it is still the same"), [7, 7]);
    fs::rename(&large, temp.path().join("elsewhere")).expect("away");
    symlink(temp.path().join("elsewhere"), &large).expect("a link to the very same file");
    assert!(folder.read(id, 0, 10).is_err(), "a link");
    fs::remove_file(&large).expect("away");
    fs::write(&large, vec![8; 300 << 10]).expect("another file");
    assert!(folder.read(id, 0, 10).is_err(), "another file");
    fs::remove_file(&large).expect("away");
    assert!(folder.read(id, 0, 10).is_err(), "no file");
    fs::rename(temp.path().join("elsewhere"), &large).expect("back");
    assert!(folder.read(id, 0, 10).is_ok(), "the same file again");
    assert!(folder.read(NodeId::ROOT, 0, 10).is_err(), "a folder");
}

#[test]
fn what_cannot_be_shown_is_told_and_the_rest_is_there() {
    let temp = disk();
    let root = temp.path().join("share");
    fs::write(root.join("a:b"), "").expect("a file");
    fs::write(root.join("dot."), "").expect("a file");
    fs::write(root.join("Same.txt"), "").expect("a file");
    fs::write(root.join("same.TXT"), "").expect("a file");
    let mut deep = root.join("deep");
    for _ in 0..40 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).expect("folders");
    let (folder, problems) = load(&temp);
    let told = problems.join("\n");
    for part in
        ["a:b: has a name", "dot.: has a name", "same.TXT: has the same name", "more than 32 folders deep"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(problems.len(), 4);
    assert_eq!(names(&folder, "", "*"), ["Data", "deep", "Same.txt"]);
    let (_, problems) = Folder::load(Some(&root.join("nowhere")));
    assert_eq!(problems.len(), 1);
    let (_, problems) = Folder::load(Some(&root.join("Same.txt")));
    assert!(problems.concat().ends_with("is no folder"));
}

#[test]
fn more_files_than_can_be_shown_are_told_of() {
    let temp = tempfile::tempdir().expect("a folder");
    fs::create_dir(temp.path().join("share")).expect("a folder");
    for n in 0..10_000 {
        fs::write(temp.path().join(format!("share/{n}")), "").expect("a file");
    }
    let (folder, problems) = load(&temp);
    assert_eq!(problems.len(), 1);
    assert!(problems.concat().contains("more than 10000"));
    assert_eq!(names(&folder, "", "").len(), 9_999);
}

#[test]
fn patterns_are_those_of_windows() {
    let fits = |pattern: &str, name: &str| Pattern::new(pattern).fits(&name::key(name));
    for (pattern, name) in [
        ("*", "anything"),
        ("", "anything"),
        ("*.txt", "a.b.TXT"),
        ("a*c", "abbbc"),
        ("a?c", "abc"),
        ("*a*b*c*", "xaxbxcx"),
        ("<.txt", "a.b.txt"),
        ("<\"*", "name"),
        ("<\"*", "name.txt"),
        ("name\"", "name"),
        ("name\"", "name."),
        (">>>>>>>>\">>>", "short.txt"),
        (">>>>", "ab"),
        ("plan.txt", "PLAN.TXT"),
        ("\u{e9}*", "\u{c9}t\u{e9}"),
    ] {
        assert!(fits(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("*.txt", "txt"),
        ("*.*", "name"),
        ("a?c", "ac"),
        ("????", "abc"),
        (">>", "abc"),
        ("<.txt", "a.txt.b"),
        ("a<.c", "b.c"),
        // All but the last dot.
        ("a<", "a.b"),
        ("name", "name."),
        ("", ""),
    ] {
        assert_eq!(fits(pattern, name), name.is_empty(), "{pattern} {name}");
    }
    let hard = "*a".repeat(127);
    assert!(!fits(&hard, &"a".repeat(126)));
    assert!(fits(&hard, &"a".repeat(255)));
    assert!(!fits(&"x".repeat(60_000), "x"));
}

#[test]
fn a_pattern_fits_short_names_too() {
    let temp = disk();
    let (folder, _) = load(&temp);
    assert_eq!(names(&folder, "Data", "*~1*"), ["A long name.with dots.html", "caf\u{e9}.txt"]);
    assert_eq!(names(&folder, "Data", "P*"), ["plan.txt"]);
}

#[test]
fn short_names_are_as_windows_makes_them() {
    let none = |_: &str| false;
    let short = |name: &str| name::short(name, none);
    assert_eq!(short("plan.txt"), None);
    assert_eq!(short("LONGNAME.TXT"), None);
    assert_eq!(short("A long name.with dots.html").as_deref(), Some("ALONGN~1.HTM"));
    assert_eq!(short("longername").as_deref(), Some("LONGER~1"));
    assert_eq!(short("a+b.c").as_deref(), Some("A_B~1.C"));
    assert_eq!(short(".htaccess").as_deref(), Some("HTACCE~1"));
    assert_eq!(short("tar.gz.sig").as_deref(), Some("TARGZ~1.SIG"));
    let four = ["LONGER~1", "LONGER~2", "LONGER~3", "LONGER~4"];
    let fifth = name::short("longername", |name| four.contains(&name)).expect("a fifth");
    assert_eq!((fifth.len(), fifth.get(..2), fifth.get(6..)), (8, Some("LO"), Some("~1")));
    assert_eq!(name::short("longername", |_| true), None);
}
