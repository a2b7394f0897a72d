//! Files that torch 2.15 has saved, and files that nobody should read.

use std::{
    fs,
    io::{Cursor, Read, Write},
    path::Path,
};

use matryo_base::random;
use matryo_pickle::{PickleError, read};
use safetensors::SafeTensors;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

const BOTH_FORMS: [&str; 2] = ["tensors.bin", "tensors.stream.bin"];

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::read(folder.join(name)).unwrap()
}

fn error(bytes: &[u8]) -> PickleError {
    read(bytes, None).unwrap_err()
}

#[test]
fn tensors_of_both_forms() {
    let golden = file("tensors.safetensors");
    let expected = SafeTensors::deserialize(&golden).unwrap();
    for name in BOTH_FORMS {
        let tensors = read(&file(name), None).unwrap();
        assert_eq!((tensors.len(), expected.len()), (19, 19), "{name}");
        for (what, tensor) in &tensors {
            let view = expected.tensor(what).unwrap();
            let element = format!("{:?}", tensor.element).to_uppercase();
            assert_eq!(element, view.dtype().to_string(), "{name}: {what}");
            let found = (&*tensor.shape, &*tensor.bytes);
            assert_eq!(found, (view.shape(), view.data()), "{name}: {what}");
        }
        let names: Vec<&str> = tensors.iter().map(|(name, _)| &**name).collect();
        assert_eq!(
            names[..5],
            ["plain", "transposed", "rows", "column", "every_other"]
        );
        let tensor = |what: &str| &tensors.iter().find(|(name, _)| name == what).unwrap().1;
        assert_eq!(tensor("transposed").shape, [8, 6]);
        assert_eq!(tensor("every_other").shape, [3, 3]);
        assert_eq!(tensor("tied"), tensor("plain"));
    }
}

#[test]
fn entries_of_a_larger_object() {
    let error = error(&file("nested.bin"));
    assert_eq!(
        error,
        PickleError::NoTensors {
            within: vec!["state_dict".into()]
        }
    );
    assert!(error.hint().unwrap().contains("`--key`"));
    let tensors = read(&file("nested.bin"), Some("state_dict")).unwrap();
    assert_eq!(
        (&*tensors[0].0, &*tensors[0].1.shape),
        ("weight", &[3, 5][..])
    );
    let error = read(&file("nested.bin"), Some("model"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no entry `model`, but epoch, state_dict, best"),
        "{error}"
    );
}

#[test]
fn code_is_refused_by_name() {
    for (name, global) in [
        ("hostile.bin", "posix.system"),
        ("module.bin", "torch.nn.modules.linear.Linear"),
    ] {
        let error = error(&file(name)).to_string();
        assert!(error.contains(global), "{name}: {error}");
    }
}

#[test]
fn what_torch_has_not_saved() {
    for (bytes, part) in [
        (&b""[..], "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git LFS"),
        (b"<!doctype html>", "web page"),
        (b"\x80\x04}q\0.", "not of torch"),
        (b"GGUF", "no form that is known"),
        (b"PK\x03\x04", "zip archive"),
    ] {
        let error = error(bytes);
        assert!(error.to_string().contains(part), "{error}");
        let is_stand_in = matches!(error, PickleError::StandIn { .. });
        assert_eq!(error.hint().is_some(), is_stand_in, "{error}");
    }
    for name in BOTH_FORMS {
        let whole = file(name);
        for len in [15, whole.len() / 2, whole.len() - 1] {
            // A zip's directory stands at its end, so that a cut shows at once; a stream shows it where it ends.
            read(&whole[..len], None).unwrap_err();
        }
    }
}

/// A stream around a pickle of an object.
fn stream(object: &[u8], keys: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    bytes.extend(b"\x80\x02M\xe9\x03.\x80\x02}q\x00.");
    bytes.extend(object);
    bytes.extend(keys);
    bytes
}

/// One storage of four floats, `0`.
fn with_storage(object: &[u8]) -> Vec<u8> {
    let mut bytes = stream(object, b"\x80\x02]X\x01\0\0\x000a.");
    bytes.extend(4_u64.to_le_bytes());
    bytes.extend([0; 16]);
    bytes
}

/// A state dict of one tensor, from offset, shape and strides as instructions.
fn one_tensor(offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let storage =
        b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04Ntq\x01Q";
    let mut object = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
    object.extend(storage);
    object.extend([offset, shape, strides].concat());
    object.extend(b"\x89}tRs.");
    with_storage(&object)
}

#[test]
fn layouts_that_reach_beyond_their_bytes() {
    let tensors = read(&one_tensor(b"K\x01", b"K\x03\x85", b"K\x01\x85"), None).unwrap();
    assert_eq!(tensors[0].1.bytes.len(), 12);
    let repeated = read(&one_tensor(b"K\x01", b"K\x05\x85", b"K\x00\x85"), None).unwrap();
    assert_eq!(repeated[0].1.bytes.len(), 20);
    let long = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    for (offset, shape, strides, part) in [
        (
            &b"K\x02"[..],
            &b"K\x03\x85"[..],
            &b"K\x01\x85"[..],
            "beyond its storage",
        ),
        (
            b"K\x00",
            b"J\xff\xff\xff\x7f\x85",
            b"K\x00\x85",
            "many times larger than the file",
        ),
        (
            b"K\x00",
            b"K\x02\x85",
            &[&long[..], b"\x85"].concat(),
            "beyond its storage",
        ),
        (&long[..], b"K\x02\x85", b"K\x01\x85", "beyond its storage"),
        (
            b"K\x00",
            &[&long[..], &long[..], b"\x86"].concat(),
            b"K\x00K\x00\x86",
            "many times larger than the file",
        ),
        (
            b"K\x00",
            b"K\x02K\x02\x86",
            b"K\x01\x85",
            "2 axes and 1 strides",
        ),
        (
            b"J\xff\xff\xff\xff",
            b"K\x01\x85",
            b"K\x01\x85",
            "without storage, offset",
        ),
    ] {
        let error = error(&one_tensor(offset, shape, strides)).to_string();
        assert!(error.contains(part), "{error}, expected {part}");
    }
}

/// The archive of a state dict, with other names of its entries.
fn renamed(name: impl Fn(&str) -> Vec<String>) -> Vec<u8> {
    let mut source = ZipArchive::new(Cursor::new(file("tensors.bin"))).unwrap();
    let mut target = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for i in 0..source.len() {
        let mut entry = source.by_index(i).unwrap();
        let (old, mut bytes) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        for new in name(&old) {
            target.start_file(new, options).unwrap();
            target.write_all(&bytes).unwrap();
        }
    }
    target.finish().unwrap().into_inner()
}

/// torch writes one folder. Of two it would be chance which is read.
#[test]
fn entries_beside_the_folder_of_an_archive() {
    let under = |folder: &str| {
        let folder = folder.to_owned();
        move |old: &str| vec![format!("{folder}{}", old.split_once('/').unwrap().1)]
    };
    let expected = read(&file("tensors.bin"), None).unwrap();
    assert_eq!(read(&renamed(under("another/")), None).unwrap(), expected);
    let both = renamed(|old| {
        vec![
            old.to_owned(),
            format!("zz/{}", old.split_once('/').unwrap().1),
        ]
    });
    let message = error(&both).to_string();
    assert!(
        message.contains("zz/") && message.contains("lies beside `tensors`"),
        "{message}"
    );
    for folder in ["../", "/etc/", "", "a/../", "./", "a//", "a\\b/"] {
        let message = error(&renamed(under(folder))).to_string();
        assert!(
            message.contains("no name of a file in a folder"),
            "{folder}: {message}"
        );
    }
}

/// A state dict of a parameter of four elements; `further` is what else its tensor was made from.
fn parameter(function: &str, further: &[u8]) -> Vec<u8> {
    let mut object = b"\x80\x02}X\x01\0\0\0w".to_vec();
    object.extend(format!("ctorch._utils\n{function}\n(").as_bytes());
    object.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
    object.extend(b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04NtQ");
    object.extend(b"K\x00K\x04\x85K\x01\x85\x89}");
    object.extend(further);
    object.extend(b"tR\x89}}tRs.");
    with_storage(&object)
}

#[test]
fn what_is_said_of_tensors() {
    for function in ["_rebuild_parameter", "_rebuild_parameter_with_state"] {
        let tensors = read(&parameter(function, b""), None).unwrap();
        assert_eq!((tensors.len(), &*tensors[0].1.shape), (1, &[4][..]));
        // `{}`, and `{"neg": True}`.
        assert_eq!(read(&parameter(function, b"}"), None).unwrap(), tensors);
        let message = error(&parameter(function, b"}X\x03\0\0\0neg\x88s")).to_string();
        assert!(message.contains("negates"), "{message}");
    }
}

/// Cycles, depth, sharing without end, and places beyond all others.
#[test]
fn programs_that_mean_harm() {
    let mut deep = b"\x80\x02".to_vec();
    deep.extend([b"(".as_slice(), b"]"].concat().repeat(200_000));
    deep.extend(b"t".repeat(200_000));
    deep.extend(b".");
    let cycle = b"\x80\x02]q\x00h\x00a.";
    let mut copies = b"\x80\x02ccollections\nOrderedDict\nq\x00(".to_vec();
    copies.extend(b"N".repeat(20_000));
    copies.extend(b"tq\x01");
    copies.extend(b"0h\x00h\x01R".repeat(20_000));
    copies.extend(b".");
    let place = b"\x80\x02Nr\xff\xff\xff\x7f.";
    // A list that is looked through again and again, and a name that is.
    let mut walked = b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01(".to_vec();
    walked.extend(b"N".repeat(20_000));
    walked.extend(b"e\x85q\x02");
    walked.extend(b"0h\x00h\x02R".repeat(20_000));
    walked.extend(b".");
    let mut name = b"\x80\x02}X\x01\x10\0\0".to_vec();
    name.extend(b"n".repeat(4097));
    name.extend(b"Ns.");
    for object in [
        &deep[..],
        cycle,
        &copies,
        &walked,
        &name,
        place,
        b"\x80\x02.",
        b"\x80\x02(t1.",
        b"\x80\x02h\x05.",
    ] {
        error(&with_storage(object));
    }
    // A dictionary in itself, beside a tensor.
    let mut tensor = one_tensor(b"K\x00", b"K\x04\x85", b"K\x01\x85");
    let at = tensor
        .windows(4)
        .position(|bytes| bytes == b"}X\x01\0")
        .unwrap()
        + 1;
    tensor.splice(at..at, *b"q\x07X\x01\0\0\0ch\x07s");
    let message = error(&tensor).to_string();
    assert!(message.contains("an object that holds itself"), "{message}");
}

fn damaged(source: &[u8], state: &mut u64) -> Vec<u8> {
    let mut number = |below: usize| {
        *state = state.wrapping_add(1);
        (random::mix(*state) >> 16) as usize % below.max(1)
    };
    let mut bytes = source.to_vec();
    for _ in 0..1 + number(4) {
        let at = number(bytes.len());
        match number(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, number(256) as u8),
            2 => {
                let end = (at + number(64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let place = number(bytes.len() + 1);
                bytes.splice(place..place, part);
            }
            _ if at < bytes.len() => bytes[at] = number(256) as u8,
            _ => {}
        }
    }
    bytes
}

fn damaged_files(count: usize) {
    let sources = [
        "tensors.bin",
        "tensors.stream.bin",
        "nested.bin",
        "hostile.bin",
    ]
    .map(file);
    let mut state = 11;
    let mut good = 0;
    for i in 0..count {
        let bytes = damaged(&sources[i % sources.len()], &mut state);
        if let Ok(tensors) = read(&bytes, None) {
            good += 1;
            for (_, tensor) in tensors {
                let elements: usize = tensor.shape.iter().product();
                assert_eq!(elements * tensor.element.size(), tensor.bytes.len());
            }
        }
    }
    println!("{good} of {count} were read");
    assert!(good > 0);
}

/// As many as a fuzzer would try: it takes seconds.
#[test]
fn a_million_damaged_files_are_errors() {
    damaged_files(1_000_000);
}
