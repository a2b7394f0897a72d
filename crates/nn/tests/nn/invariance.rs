//! A text's embedding has the same bits whatever else is in the batch, on any number of threads, for any number of callers: in
//! every precision and at every level of this processor.

use std::sync::Arc;

use matryo_nn::{Network, TablePlace, TokenBatch};
use matryo_ops::{Arithmetic, Cpu, Level, Mat, Ops, Precision};
use matryo_testkit::pseudo_random;

use crate::random::{self, Sizes};

/// More steps in a product than one slice of it has, and widths that are no multiple of a tile's.
const SIZES: Sizes = Sizes {
    dim: 40,
    heads: 5,
    inner: 1100,
    blocks: 2,
    vocab: 500,
    positions: 512,
};

/// How much is tried.
struct Extent {
    texts: usize,
    longest: usize,
    partitions: u64,
}

/// For families whose layers are those of others in another order.
const LEAST: Extent = Extent {
    texts: 10,
    longest: 70,
    partitions: 1,
};

const SMALL: Extent = Extent {
    texts: 30,
    longest: 150,
    partitions: 3,
};

const COMPLETE: Extent = Extent {
    texts: 500,
    longest: 512,
    partitions: 20,
};

/// Numbers in 0..1 that depend on the seed.
fn unit(count: usize, seed: u64) -> Vec<f64> {
    let random = pseudo_random(count, seed).into_iter();
    random.map(|x| f64::from(x) * 0.5 + 0.5).collect()
}

/// Texts of 1 to `longest` tokens, most of them short.
fn texts(extent: &Extent) -> Vec<Vec<u32>> {
    let lengths = unit(extent.texts, 1).into_iter().enumerate();
    lengths
        .map(|(i, share)| {
            let span = (extent.longest - 1) as f64;
            let length = match i {
                0 => 1,
                1 => extent.longest,
                _ => 1 + (share * share * share * span).round() as usize,
            };
            let ids = unit(length, 100 + i as u64).into_iter();
            ids.map(|x| (x * 499.0) as u32).collect()
        })
        .collect()
}

/// A random order of all texts, cut at random places.
fn partition(texts: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts).collect();
    let keys = unit(texts, 1000 + seed);
    order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
    let mut sizes = unit(texts, 2000 + seed).into_iter();
    let mut batches = Vec::new();
    while !order.is_empty() {
        let size = 1 + (sizes.next().unwrap_or(0.0) * 24.0) as usize;
        let rest = order.split_off(size.min(order.len()));
        batches.push(std::mem::replace(&mut order, rest));
    }
    batches
}

fn batch(texts: &[Vec<u32>], places: &[usize]) -> TokenBatch {
    let mut batch = TokenBatch::new();
    for &place in places {
        batch.push(&texts[place], place as u64, 0);
    }
    batch
}

/// Embeddings of all texts, batch by batch, in one of the ways in which operations find their threads.
fn embed(network: &Network, texts: &[Vec<u32>], batches: &[Vec<usize>], way: u64) -> Mat {
    let mut all = Mat::zeros(texts.len(), network.dim());
    for places in batches {
        let batch = batch(texts, places);
        let mut rows = None;
        let mut work = || rows = Some(network.embed(&batch));
        match way % 3 {
            0 => work(),
            1 => network.ops().alone(&mut work),
            _ => network.ops().together(&mut work),
        }
        for (i, &place) in places.iter().enumerate() {
            all.row_mut(place)
                .copy_from_slice(rows.as_ref().unwrap().row(i));
        }
    }
    all
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(work)
}

fn check(network: &Network, texts: &[Vec<u32>], extent: &Extent, what: &str) {
    let alone: Vec<Vec<usize>> = (0..texts.len()).map(|i| vec![i]).collect();
    let expected = on_threads(1, || embed(network, texts, &alone, 0));
    assert!(expected.data().iter().all(|x| x.is_finite()));
    let agrees = |threads: usize, seeds: &mut dyn Iterator<Item = u64>| {
        for seed in seeds {
            let batches = partition(texts.len(), seed);
            let found = on_threads(threads, || embed(network, texts, &batches, seed));
            assert_eq!(
                found, expected,
                "{what}, {threads} threads, partition {seed}"
            );
        }
    };
    agrees(2, &mut (0..extent.partitions));
    // A single thread leaves a core of two idle: half the partitions each, side by side.
    std::thread::scope(|scope| {
        for half in 0..2 {
            let mut seeds = (half..extent.partitions).step_by(2);
            scope.spawn(move || agrees(1, &mut seeds));
        }
    });
    // Four callers at once, each with a partition of its own, on one pool.
    on_threads(2, || {
        std::thread::scope(|scope| {
            let callers: Vec<_> = (0..4)
                .map(|caller| {
                    let batches = partition(texts.len(), 50 + caller);
                    scope.spawn(move || embed(network, texts, &batches, caller))
                })
                .collect();
            for caller in callers {
                assert_eq!(caller.join().unwrap(), expected, "{what}, four callers");
            }
        });
    });
}

/// Families that have every kind of layer between them: learned positions and rotations, norms before and behind, gates, windows.
const THOROUGHLY: [&str; 2] = ["bert", "modernbert"];

fn check_everything(most: &Extent, others: &Extent) {
    for family in random::families() {
        let is_thorough = THOROUGHLY.contains(&&*family);
        let extent = if is_thorough { most } else { others };
        let texts = texts(extent);
        let dir = random::model(&family, SIZES);
        let places = random::places(dir.path());
        for level in Level::available() {
            for precision in Precision::ALL {
                if precision == Precision::F32x3 && level != Level::Amx {
                    // There it is f32 by another name.
                    continue;
                }
                let what = format!("{family}, {}, {}", level.name(), precision.name());
                println!("{what}");
                let ops: Arc<dyn Ops> = Arc::new(Cpu::at(Arithmetic { level, precision }));
                let network = Network::for_inference(&places, ops, TablePlace::Copied).unwrap();
                check(&network, &texts, extent, &what);
            }
        }
    }
}

#[test]
fn the_batch_changes_no_bit() {
    check_everything(&SMALL, &LEAST);
}

#[test]
#[ignore = "takes minutes; part of the slow suite"]
fn the_batch_changes_no_bit_of_many_texts() {
    check_everything(&COMPLETE, &SMALL);
}

/// Vectors of distances that longer texts have computed are those of shorter ones, to the bit.
#[test]
fn what_earlier_texts_left_changes_no_bit() {
    let dir = random::model("deberta-v2", SIZES);
    let places = random::places(dir.path());
    let texts = texts(&COMPLETE);
    let order = |lengths: &[usize]| -> Vec<Mat> {
        let tables = TablePlace::Copied;
        let network = Network::for_inference(&places, matryo_ops::cpu(), tables).unwrap();
        let of_length = |length: &usize| {
            let mut batch = TokenBatch::new();
            batch.push(&texts[1][..*length], 0, 0);
            network.embed(&batch)
        };
        lengths.iter().map(of_length).collect()
    };
    let growing = order(&[3, 100, 512]);
    let mut shrinking = order(&[512, 100, 3]);
    shrinking.reverse();
    assert_eq!(growing, shrinking);
    // In training nothing is left.
    let network = Network::for_training(&places, matryo_ops::cpu(), &[]).unwrap();
    let mut batch = TokenBatch::new();
    batch.push(&texts[1][..100], 0, 0);
    assert_eq!(network.embed(&batch), growing[1]);
}

/// Where a table is kept changes no bit either.
#[test]
fn tables_in_their_file_and_in_memory() {
    let sizes = Sizes {
        vocab: 20_000,
        ..SIZES
    };
    let dir = random::model("bert", sizes);
    let (places, texts) = (random::places(dir.path()), texts(&SMALL));
    let all: Vec<usize> = (0..texts.len()).collect();
    let [mapped, copied] = [TablePlace::Mapped, TablePlace::Copied].map(|tables| {
        let network = Network::for_inference(&places, matryo_ops::cpu(), tables).unwrap();
        network.embed(&batch(&texts, &all))
    });
    assert_eq!(mapped, copied);
}
