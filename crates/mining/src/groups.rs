//! Labels to lists of members.

/// Members of each label, in their order: the largest group first, of equal ones that with the first member.
pub fn groups(labels: &[usize]) -> Vec<Vec<usize>> {
    let count = labels.iter().max().map_or(0, |largest| largest + 1);
    let mut groups = vec![Vec::new(); count];
    for (row, &label) in labels.iter().enumerate() {
        groups[label].push(row);
    }
    groups.retain(|members| !members.is_empty());
    groups.sort_by_key(|members| (std::cmp::Reverse(members.len()), members[0]));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first() {
        assert_eq!(
            groups(&[3, 1, 1, 3, 0, 5, 1]),
            [vec![1, 2, 6], vec![0, 3], vec![4], vec![5]]
        );
        assert!(groups(&[]).is_empty());
    }
}
