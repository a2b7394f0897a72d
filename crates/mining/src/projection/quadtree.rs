//! Points of a plane in squares within squares, so that those far away count as one (Barnes and Hut 1986).

use super::Point;

/// Squares within each other: points nearer than the 2^-32nd part of the plane share one.
const DEEPEST: usize = 32;

/// No square.
const NONE: u32 = u32::MAX;

pub(super) struct Quadtree {
    squares: Vec<Square>,
}

struct Square {
    centre: Point,
    half: f64,
    /// Sum of the points, then their mean.
    mass: Point,
    count: f64,
    /// The only point, while there is one.
    only: Option<Point>,
    children: [u32; 4],
}

impl Quadtree {
    pub fn new(points: &[Point]) -> Self {
        let bound = |pick: fn(f64, f64) -> f64, from: f64, axis: usize| {
            points.iter().map(|p| p[axis]).fold(from, pick)
        };
        let low = [0, 1].map(|axis| bound(f64::min, f64::INFINITY, axis));
        let high = [0, 1].map(|axis| bound(f64::max, f64::NEG_INFINITY, axis));
        let half =
            ((high[0] - low[0]).max(high[1] - low[1]) / 2.0).max(f64::MIN_POSITIVE) * (1.0 + 1e-9);
        let mut tree = Self {
            squares: vec![Square::new(
                [(low[0] + high[0]) / 2.0, (low[1] + high[1]) / 2.0],
                half,
            )],
        };
        points.iter().for_each(|point| tree.insert(*point));
        for square in &mut tree.squares {
            square.mass = square.mass.map(|sum| sum / square.count);
        }
        tree
    }

    fn insert(&mut self, point: Point) {
        let mut at = 0;
        for depth in 0.. {
            let square = &mut self.squares[at];
            square.mass = [square.mass[0] + point[0], square.mass[1] + point[1]];
            square.count += 1.0;
            if square.count == 1.0 {
                square.only = Some(point);
                return;
            }
            if depth == DEEPEST {
                return;
            }
            if let Some(first) = self.squares[at].only.take() {
                let child = self.child(at, first);
                let child = &mut self.squares[child];
                (child.mass, child.count, child.only) = (first, 1.0, Some(first));
            }
            at = self.child(at, point);
        }
    }

    /// The quarter of a square in which a point lies; made if it is not there.
    fn child(&mut self, at: usize, point: Point) -> usize {
        let Square {
            centre,
            half,
            children,
            ..
        } = &self.squares[at];
        let right = [0, 1].map(|axis| point[axis] >= centre[axis]);
        let quarter = usize::from(right[0]) + 2 * usize::from(right[1]);
        if children[quarter] == NONE {
            let quarter_of =
                |axis: usize| centre[axis] + if right[axis] { half / 2.0 } else { -half / 2.0 };
            let child = Square::new([quarter_of(0), quarter_of(1)], half / 2.0);
            self.squares[at].children[quarter] = self.squares.len() as u32;
            self.squares.push(child);
        }
        self.squares[at].children[quarter] as usize
    }

    /// What pushes a point away: the sum of `q² (point - other)` and of `q`, where `q = 1 / (1 + distance²)`. A square counts as one
    /// point if it looks smaller than `theta` from there. `stack` is room to work in.
    pub fn repulsion(&self, point: Point, theta: f64, stack: &mut Vec<u32>) -> (Point, f64) {
        let (mut force, mut sum) = ([0.0; 2], 0.0);
        stack.clear();
        stack.push(0);
        while let Some(at) = stack.pop() {
            let square = &self.squares[at as usize];
            let away = [point[0] - square.mass[0], point[1] - square.mass[1]];
            let distance = away[0] * away[0] + away[1] * away[1];
            let side = 2.0 * square.half;
            let leaf = square.children == [NONE; 4];
            if leaf || side * side < theta * theta * distance {
                let q = 1.0 / (1.0 + distance);
                sum += square.count * q;
                force = [
                    force[0] + square.count * q * q * away[0],
                    force[1] + square.count * q * q * away[1],
                ];
            } else {
                stack.extend(square.children.iter().filter(|&&child| child != NONE));
            }
        }
        // The point itself is in the tree: a distance of 0, no force, and a q of 1.
        (force, sum - 1.0)
    }
}

impl Square {
    fn new(centre: Point, half: f64) -> Self {
        Self {
            centre,
            half,
            mass: [0.0; 2],
            count: 0.0,
            only: None,
            children: [NONE; 4],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: usize) -> Vec<Point> {
        (0..count)
            .map(|i| [(i as f64 * 1.7).sin() * 3.0, (i as f64 * 2.3).cos()])
            .collect()
    }

    fn exactly(points: &[Point], i: usize) -> (Point, f64) {
        let mut total = ([0.0; 2], 0.0);
        for (j, other) in points.iter().enumerate().filter(|(j, _)| *j != i) {
            let away = [points[i][0] - other[0], points[i][1] - other[1]];
            let q = 1.0 / (1.0 + away[0] * away[0] + away[1] * away[1]);
            total.0 = [total.0[0] + q * q * away[0], total.0[1] + q * q * away[1]];
            total.1 += q;
            assert_ne!(i, j);
        }
        total
    }

    fn assert_near(found: (Point, f64), expected: (Point, f64), tolerance: f64) {
        let scale = expected.1;
        assert!(
            (found.1 - expected.1).abs() <= tolerance * scale,
            "{found:?} {expected:?}"
        );
        (0..2).for_each(|a| {
            assert!(
                (found.0[a] - expected.0[a]).abs() <= tolerance * scale,
                "{found:?} {expected:?}"
            )
        });
    }

    #[test]
    fn without_an_angle_it_is_the_sum_over_all_pairs() {
        let points = points(200);
        let tree = Quadtree::new(&points);
        for i in 0..points.len() {
            assert_near(
                tree.repulsion(points[i], 0.0, &mut Vec::new()),
                exactly(&points, i),
                1e-12,
            );
        }
    }

    #[test]
    fn with_an_angle_it_is_near() {
        let points = points(500);
        let tree = Quadtree::new(&points);
        for i in 0..points.len() {
            assert_near(
                tree.repulsion(points[i], 0.5, &mut Vec::new()),
                exactly(&points, i),
                0.02,
            );
        }
    }

    #[test]
    fn equal_points_and_a_single_one_are_no_trouble() {
        let tree = Quadtree::new(&[[1.0, 1.0]; 5]);
        assert_near(
            tree.repulsion([1.0, 1.0], 0.5, &mut Vec::new()),
            ([0.0; 2], 4.0),
            1e-12,
        );
        let tree = Quadtree::new(&[[3.0, 4.0]]);
        assert_near(
            tree.repulsion([3.0, 4.0], 0.5, &mut Vec::new()),
            ([0.0; 2], 0.0),
            1e-12,
        );
    }
}
