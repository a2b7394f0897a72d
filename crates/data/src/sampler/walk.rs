//! The walk of `no_duplicates` over the rows that are left: each batch takes, in order, every row that shares no text
//! with the rows it already has, until it is full; the rows passed over keep their places.
//!
//! Done as written, a text in very many rows makes it quadratic, since each batch passes over all of them again. So a
//! row passed over waits in the queue of the text that was in its way, and while that text is in the batch the whole
//! queue is passed over at once. Only the heads of the queues compete with the rows not yet met, by place.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::text_ids::TextIds;

/// Rows in an order, less those already given out.
pub(super) struct Walk<'a> {
    ids: &'a TextIds,
    order: Vec<u32>,
    taken: Vec<bool>,
    left: usize,
    /// The first place not yet met.
    fresh: usize,
    /// The queue of each text: places whose rows hold it.
    waiting: HashMap<u32, BinaryHeap<Reverse<usize>>>,
    /// Heads of queues, as (place, text), but for those in `changed`. An entry whose place is no longer the head of its
    /// queue is void.
    heads: BinaryHeap<Reverse<(usize, u32)>>,
    /// Texts whose queue needs a new entry in `heads` when the next batch starts.
    changed: Vec<u32>,
    /// For each text, the last batch that has it; batches count from 1.
    in_batch: Vec<u32>,
    batch: u32,
}

impl<'a> Walk<'a> {
    pub(super) fn new(ids: &'a TextIds, order: Vec<u32>) -> Self {
        Self {
            ids,
            taken: vec![false; order.len()],
            left: order.len(),
            order,
            fresh: 0,
            waiting: HashMap::new(),
            heads: BinaryHeap::new(),
            changed: Vec::new(),
            in_batch: vec![0; ids.distinct()],
            batch: 0,
        }
    }

    /// Rows not given out yet.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Those rows, in order.
    pub(super) fn rest(&self) -> Vec<u32> {
        self.order
            .iter()
            .zip(&self.taken)
            .filter(|(_, taken)| !**taken)
            .map(|(row, _)| *row)
            .collect()
    }

    /// The next batch: `size` rows, or as many as there are without a common text.
    pub(super) fn next_batch(&mut self, size: usize) -> Vec<u32> {
        self.batch += 1;
        self.offer_changed();
        let mut batch = Vec::with_capacity(size.min(self.left));
        while batch.len() < size {
            let Some(place) = self.next_candidate() else {
                break;
            };
            let row = self.order[place];
            match self.conflict(row) {
                Some(text) => self.wait(place, text),
                None => {
                    self.take(place, row);
                    batch.push(row);
                }
            }
        }
        batch
    }

    /// The first place that may suit the batch, removed from where it was. Places that wait come before fresh ones.
    fn next_candidate(&mut self) -> Option<usize> {
        while let Some(Reverse((place, text))) = self.heads.pop() {
            let Some(queue) = self
                .waiting
                .get_mut(&text)
                .filter(|queue| queue.peek() == Some(&Reverse(place)))
            else {
                continue;
            };
            if self.in_batch[text as usize] == self.batch {
                self.changed.push(text);
                continue;
            }
            queue.pop();
            self.offer(text);
            return Some(place);
        }
        let place = self.fresh;
        self.fresh = (place + 1).min(self.order.len());
        (place < self.order.len()).then_some(place)
    }

    /// A text of the row that the batch already has.
    fn conflict(&self, row: u32) -> Option<u32> {
        self.ids
            .of(row)
            .iter()
            .copied()
            .find(|&text| self.in_batch[text as usize] == self.batch)
    }

    fn wait(&mut self, place: usize, text: u32) {
        let queue = self.waiting.entry(text).or_default();
        queue.push(Reverse(place));
        if queue.peek() == Some(&Reverse(place)) {
            self.changed.push(text);
        }
    }

    fn take(&mut self, place: usize, row: u32) {
        self.taken[place] = true;
        self.left -= 1;
        for &text in self.ids.of(row) {
            self.in_batch[text as usize] = self.batch;
        }
    }

    fn offer_changed(&mut self) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        changed.into_iter().for_each(|text| self.offer(text));
    }

    /// Puts the head of a text's queue among the heads.
    fn offer(&mut self, text: u32) {
        let Some(queue) = self.waiting.get(&text) else {
            return;
        };
        match queue.peek() {
            Some(&Reverse(place)) => self.heads.push(Reverse((place, text))),
            None => drop(self.waiting.remove(&text)),
        }
    }
}
