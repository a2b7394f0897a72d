//! Models whose cards ask for a text before queries or documents and whose folders do not say so, by name.
//!
//! Sources: the cards of intfloat, BAAI, nomic-ai and Snowflake on the hub, with the READMEs of FlagEmbedding (which tells that bge's
//! models without v1.5 want the same texts), Snowflake-Labs/arctic-embed (its first models), xlang-ai/instructor-embedding
//! and SeanLee97/AnglE (UAE); for mxbai-embed-large-v1 and
//! modernbert-embed-base what the MTEB repository measures them with. A model that is not listed, or whose
//! configuration has prompts of its own, is none of this file's business.

/// What the cards of some models say.
#[derive(Debug)]
pub(super) struct Card {
    /// Names on the hub without the organisation, in lower case; `*` stands for anything.
    pub(super) names: &'static [&'static str],
    /// Before queries. What stands in braces is the user's to fill in.
    pub(super) query: &'static str,
    /// Before documents; empty if nothing is.
    pub(super) document: &'static str,
}

/// The first card that lists a name counts.
pub(super) static CARDS: &[Card] = &[
    Card {
        names: &["multilingual-e5-large-instruct"],
        query: "Instruct: {task}\nQuery: ",
        document: "",
    },
    Card {
        names: &["instructor-base", "instructor-large", "instructor-xl"],
        query: "Represent the {domain} question for retrieving supporting documents: ",
        document: "Represent the {domain} document for retrieval: ",
    },
    Card {
        names: &[
            "e5-small*",
            "e5-base*",
            "e5-large*",
            "multilingual-e5-small",
            "multilingual-e5-base",
            "multilingual-e5-large",
        ],
        query: "query: ",
        document: "passage: ",
    },
    Card {
        names: &[
            "bge-small-en*",
            "bge-base-en*",
            "bge-large-en*",
            "mxbai-embed-large-v1",
            "uae-large-v1",
        ],
        query: REPRESENT,
        document: "",
    },
    Card {
        names: &[
            "bge-small-zh*",
            "bge-base-zh*",
            "bge-large-zh",
            "bge-large-zh-v1.5",
        ],
        query: "为这个句子生成表示以用于检索相关文章：",
        document: "",
    },
    Card {
        names: &[
            "snowflake-arctic-embed-m-v2.0*",
            "snowflake-arctic-embed-l-v2.0*",
        ],
        query: "query: ",
        document: "",
    },
    Card {
        names: &["snowflake-arctic-embed-*"],
        query: REPRESENT,
        document: "",
    },
    Card {
        names: &["nomic-embed-text-v*", "modernbert-embed-base"],
        query: "search_query: ",
        document: "search_document: ",
    },
];

const REPRESENT: &str = "Represent this sentence for searching relevant passages: ";
