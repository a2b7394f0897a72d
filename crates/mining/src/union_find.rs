//! Disjoint sets (Tarjan 1975, with path halving). The root of a set is its smallest member, whatever the order of the unions.

pub(crate) struct UnionFind {
    parent: Vec<u32>,
}

impl UnionFind {
    /// `len` sets of one.
    pub(crate) fn new(len: usize) -> Self {
        let len = u32::try_from(len).expect("row numbers fit 32 bits");
        Self {
            parent: (0..len).collect(),
        }
    }

    pub(crate) fn find(&mut self, item: usize) -> usize {
        let mut item = item;
        while self.parent[item] as usize != item {
            let parent = self.parent[item] as usize;
            self.parent[item] = self.parent[parent];
            item = self.parent[item] as usize;
        }
        item
    }

    /// Joins two sets; `false` if they were one.
    pub(crate) fn union(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b)] = a.min(b) as u32;
        a != b
    }

    /// A label for each item: sets are numbered by their first member.
    pub(crate) fn labels(mut self) -> Vec<usize> {
        let mut of_root = vec![usize::MAX; self.parent.len()];
        let mut next = 0;
        let mut label = |root: usize| {
            if of_root[root] == usize::MAX {
                of_root[root] = next;
                next += 1;
            }
            of_root[root]
        };
        (0..self.parent.len())
            .map(|item| label(self.find(item)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_numbered_by_their_first_member() {
        let mut sets = UnionFind::new(6);
        assert!(sets.union(5, 3) && sets.union(4, 1) && sets.union(3, 1));
        assert!(!sets.union(4, 5));
        assert_eq!(sets.find(5), 1);
        assert_eq!(sets.labels(), [0, 1, 2, 1, 1, 1]);
    }
}
