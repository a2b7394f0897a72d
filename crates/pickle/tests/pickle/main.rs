//! Files that torch 2.15 has saved, and files that nobody should read.

use std::{fs, path::Path};

use matryo_base::random;
use matryo_pickle::{ElementType, PickleError, Tensor, read};
use matryo_testkit::read_safetensors;

const BOTH_FORMS: [&str; 2] = ["tensors.bin", "tensors.stream.bin"];

fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    fs::read(folder.join(name)).unwrap()
}

fn error(bytes: &[u8]) -> PickleError {
    read(bytes, None).unwrap_err()
}

/// The values of a tensor, which `f32` holds exactly or rounds as the comparison does.
fn values(tensor: &Tensor) -> Vec<f32> {
    fn numbers<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|b| value(*b)).collect()
    }
    let bytes = &tensor.bytes;
    match tensor.element {
        ElementType::F64 => numbers(bytes, |b| f64::from_le_bytes(b) as f32),
        ElementType::F32 => numbers(bytes, f32::from_le_bytes),
        ElementType::BF16 => numbers(bytes, |[a, b]| f32::from_le_bytes([0, 0, a, b])),
        ElementType::I64 => numbers(bytes, |b| i64::from_le_bytes(b) as f32),
        ElementType::I32 => numbers(bytes, |b| i32::from_le_bytes(b) as f32),
        ElementType::I16 => numbers(bytes, |b| i16::from_le_bytes(b).into()),
        ElementType::I8 => numbers(bytes, |b| i8::from_le_bytes(b).into()),
        ElementType::U8 | ElementType::Bool => numbers(bytes, |[b]| b.into()),
        ElementType::F16 => Vec::new(),
    }
}

#[test]
fn tensors_of_both_forms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let raw = fs::read(folder.join("tensors.safetensors")).unwrap();
    for name in BOTH_FORMS {
        let tensors = read(&file(name), None).unwrap();
        assert_eq!(tensors.len(), 19, "{name}");
        for (what, tensor) in &tensors {
            // Each tensor's bytes stand in the file of comparison, whatever their type.
            let found = raw
                .windows(tensor.bytes.len().max(1))
                .any(|w| w == tensor.bytes);
            assert!(found || tensor.bytes.is_empty(), "{name}: {what}");
        }
        let names: Vec<&str> = tensors.iter().map(|(name, _)| &**name).collect();
        assert_eq!(
            names[..5],
            ["plain", "transposed", "rows", "column", "every_other"]
        );
        let tensor = |what: &str| &tensors.iter().find(|(name, _)| name == what).unwrap().1;
        assert_eq!(tensor("transposed").shape, [8, 6]);
        assert_eq!(tensor("every_other").shape, [3, 3]);
        assert_eq!(
            (&*tensor("scalar").shape, values(tensor("scalar"))),
            (&[][..], vec![2.5])
        );
        assert_eq!(
            (&*tensor("empty").shape, tensor("empty").bytes.len()),
            (&[0, 4][..], 0)
        );
        assert_eq!(values(tensor("i64")), [-1.0, 1_099_511_627_776.0, 0.0]);
        assert_eq!(tensor("tied"), tensor("plain"));
    }
}

/// Where the comparison's reader knows the type.
#[test]
fn values_are_those_of_safetensors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let expected = read_floats(&folder.join("tensors.safetensors"));
    for name in BOTH_FORMS {
        for (what, tensor) in read(&file(name), None).unwrap() {
            let Some((shape, data)) = expected
                .iter()
                .find(|(n, ..)| *n == what)
                .map(|(_, s, d)| (s, d))
            else {
                continue;
            };
            assert_eq!(&tensor.shape, shape, "{name}: {what}");
            assert_eq!(&values(&tensor), data, "{name}: {what}");
        }
    }
}

type Named = (String, Vec<usize>, Vec<f32>);

/// The tensors of 32 bits: the reader of goldens panics on halves.
fn read_floats(path: &Path) -> Vec<Named> {
    let all = std::panic::catch_unwind(|| read_safetensors(path));
    match all {
        Ok(all) => all
            .into_iter()
            .map(|(name, t)| (name, t.shape, t.data))
            .collect(),
        Err(_) => Vec::new(),
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
            b"K\x05\x85",
            b"K\x00\x85",
            "more elements than the 4",
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
            "more elements",
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
    for object in [
        &deep[..],
        cycle,
        &copies,
        place,
        b"\x80\x02.",
        b"\x80\x02(t1.",
        b"\x80\x02h\x05.",
    ] {
        error(&with_storage(object));
    }
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
