//! Long documents cut into pieces that the model reads whole.

use matryo_model::{ModelError, Tokenizer};

use crate::Chunking;

/// Pieces of `text` of at most `chunking.tokens` tokens, whose neighbours share about `chunking.overlap`; cut between words
/// where there is a gap in the second half of a piece. A text that is short enough stays as it is, blanks around it included.
pub(crate) fn chunks<'a>(
    text: &'a str,
    tokenizer: &Tokenizer,
    chunking: Option<Chunking>,
) -> Result<Vec<&'a str>, ModelError> {
    let Some(chunking) = chunking else {
        return Ok(vec![text]);
    };
    let spans = tokenizer.spans(text)?;
    if spans.len() <= chunking.tokens {
        return Ok(vec![text]);
    }
    let pieces = cuts(&spans, chunking).into_iter();
    Ok(pieces
        .map(|(start, end)| &text[spans[start].0..spans[end - 1].1])
        .collect())
}

/// First token and end of each piece.
fn cuts(spans: &[(usize, usize)], Chunking { tokens, overlap }: Chunking) -> Vec<(usize, usize)> {
    let starts_word = |token: usize| token == spans.len() || spans[token].0 > spans[token - 1].1;
    let mut cuts = Vec::new();
    let mut start = 0;
    loop {
        let most = (start + tokens).min(spans.len());
        let half = start + tokens.div_ceil(2);
        let end = (half..=most)
            .rev()
            .find(|&token| starts_word(token))
            .unwrap_or(most);
        cuts.push((start, end));
        if end == spans.len() {
            return cuts;
        }
        let earliest = (end - overlap).max(start + 1);
        start = (earliest..=end)
            .find(|&token| starts_word(token))
            .unwrap_or(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of one letter: `x` starts a word, `-` continues one.
    fn spans(words: &str) -> Vec<(usize, usize)> {
        let mut at = 0;
        let span = |kind| {
            at += if kind == 'x' { 2 } else { 1 };
            (at - 1, at)
        };
        words.chars().map(span).collect()
    }

    fn cut(words: &str, tokens: usize, overlap: usize) -> Vec<(usize, usize)> {
        cuts(&spans(words), Chunking { tokens, overlap })
    }

    #[test]
    fn pieces_overlap_and_the_last_ends_the_text() {
        assert_eq!(cut("xxxxxxxxxx", 4, 1), [(0, 4), (3, 7), (6, 10)]);
        assert_eq!(cut("xxxxxxxxx", 4, 0), [(0, 4), (4, 8), (8, 9)]);
    }

    #[test]
    fn words_stay_whole_where_there_is_a_gap() {
        assert_eq!(cut("xxxx--xxxx", 5, 0), [(0, 3), (3, 8), (8, 10)]);
        assert_eq!(cut("x---------", 4, 1), [(0, 4), (4, 8), (8, 10)]);
    }
}
