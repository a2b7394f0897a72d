//! The ways of clustering, and which options belong to which.

use std::num::NonZeroUsize;

use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use matryo_base::Progress;
use matryo_mining::{
    AGGLOMERATIVE_ROWS, CommunityOptions, Cut, KMeansOptions, Linkage, MatRef, MiningError,
    agglomerative, community_detection, groups, kmeans,
};

use crate::{args::read_cosine, console::Console, error::CliError, progress};

/// How to cluster.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Clustering")]
pub struct MethodArgs {
    /// How to cluster
    #[arg(long, value_enum, default_value_t = Method::Kmeans, value_name = "NAME")]
    method: Method,
    /// Number of clusters (kmeans, agglomerative)
    #[arg(
        short = 'k',
        long = "clusters",
        value_name = "N",
        conflicts_with = "threshold"
    )]
    k: Option<NonZeroUsize>,
    /// Cosine within a cluster, -1 to 1 (agglomerative; communities [default: 0.75])
    #[arg(long, value_name = "T", value_parser = read_cosine, allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Least number of texts of a cluster (communities) [default: 10]
    #[arg(long, value_name = "N")]
    min_size: Option<NonZeroUsize>,
    /// Distance of two clusters, from the distances of their texts (agglomerative) [default: average]
    #[arg(long, value_name = "NAME", value_parser = linkage_parser())]
    linkage: Option<Linkage>,
    /// Decides the starts (kmeans) [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Starts, of which the best counts (kmeans) [default: 4]
    #[arg(long, value_name = "N")]
    n_init: Option<NonZeroUsize>,
}

/// Ways of clustering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    Kmeans,
    Agglomerative,
    Communities,
}

/// What clustering found.
pub struct Clusters {
    /// Places of the texts of each cluster, the largest first.
    pub groups: Vec<Vec<usize>>,
    /// Inertia and iterations of k-means.
    pub converged: Option<(f64, usize)>,
}

fn linkage_parser() -> impl TypedValueParser<Value = Linkage> {
    let linkage = |name: String| {
        Linkage::ALL
            .into_iter()
            .find(|linkage| linkage.name() == name)
            .ok_or("unknown")
    };
    PossibleValuesParser::new(Linkage::ALL.map(Linkage::name)).try_map(linkage)
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Kmeans => "kmeans",
            Self::Agglomerative => "agglomerative",
            Self::Communities => "communities",
        }
    }
}

impl MethodArgs {
    /// The method's name.
    pub fn name(&self) -> &'static str {
        self.method.name()
    }

    /// Checks that the options given belong to the method, and that those it needs are there.
    pub fn check(&self) -> Result<(), CliError> {
        use Method::{Agglomerative, Communities, Kmeans};
        let options: [(&str, bool, &[Method]); 6] = [
            ("-k", self.k.is_some(), &[Kmeans, Agglomerative]),
            (
                "--threshold",
                self.threshold.is_some(),
                &[Agglomerative, Communities],
            ),
            ("--min-size", self.min_size.is_some(), &[Communities]),
            ("--linkage", self.linkage.is_some(), &[Agglomerative]),
            ("--seed", self.seed.is_some(), &[Kmeans]),
            ("--n-init", self.n_init.is_some(), &[Kmeans]),
        ];
        let method = self.name();
        for (option, given, methods) in options {
            if given && !methods.contains(&self.method) {
                let of = methods
                    .iter()
                    .map(|method| format!("--method {}", method.name()))
                    .collect::<Vec<_>>();
                return Err(CliError::MethodIgnores {
                    method,
                    option,
                    of: of.join(" and "),
                });
            }
        }
        match (self.method, self.k, self.threshold) {
            (Kmeans, None, _) => Err(CliError::MethodNeeds {
                method,
                needs: "-k",
            }),
            (Agglomerative, None, None) => Err(CliError::MethodNeeds {
                method,
                needs: "-k or --threshold",
            }),
            _ => Ok(()),
        }
    }

    /// Checks what the number of texts alone forbids, before they are encoded.
    pub fn check_rows(&self, rows: usize) -> Result<(), MiningError> {
        match self.k.map(NonZeroUsize::get) {
            Some(clusters) if clusters > rows => {
                Err(MiningError::TooManyClusters { clusters, rows })
            }
            _ if self.method == Method::Agglomerative && rows > AGGLOMERATIVE_ROWS => {
                Err(MiningError::TooManyRows {
                    rows,
                    limit: AGGLOMERATIVE_ROWS,
                })
            }
            _ => Ok(()),
        }
    }

    /// Clusters the rows of `embeddings`.
    pub fn cluster(
        &self,
        embeddings: MatRef<'_>,
        console: &Console,
    ) -> Result<Clusters, MiningError> {
        let bar = progress::share(console, "clustering");
        let advance = |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        let clusters = match self.method {
            Method::Kmeans => self.kmeans(embeddings, Progress::new(&advance)),
            Method::Agglomerative => self.agglomerative(embeddings),
            Method::Communities => self.communities(embeddings, Progress::new(&advance)),
        };
        bar.finish_and_clear();
        clusters
    }

    fn kmeans(
        &self,
        embeddings: MatRef<'_>,
        progress: Progress<'_>,
    ) -> Result<Clusters, MiningError> {
        let default = KMeansOptions::default();
        let options = KMeansOptions {
            n_clusters: self.k.map_or(default.n_clusters, NonZeroUsize::get),
            n_init: self.n_init.map_or(default.n_init, NonZeroUsize::get),
            seed: self.seed.unwrap_or(default.seed),
            progress,
            ..default
        };
        let found = kmeans(embeddings, &options)?;
        Ok(Clusters {
            groups: groups(&found.labels),
            converged: Some((found.inertia, found.n_iter)),
        })
    }

    fn agglomerative(&self, embeddings: MatRef<'_>) -> Result<Clusters, MiningError> {
        let cut = match (self.k, self.threshold) {
            (Some(k), _) => Cut::Clusters(k.get()),
            (None, threshold) => Cut::DistanceThreshold(1.0 - threshold.unwrap_or_default()),
        };
        let labels = agglomerative(embeddings, self.linkage.unwrap_or_default(), cut)?;
        Ok(Clusters {
            groups: groups(&labels),
            converged: None,
        })
    }

    fn communities(
        &self,
        embeddings: MatRef<'_>,
        progress: Progress<'_>,
    ) -> Result<Clusters, MiningError> {
        let default = CommunityOptions::default();
        let options = CommunityOptions {
            threshold: self.threshold.unwrap_or(default.threshold),
            min_community_size: self
                .min_size
                .map_or(default.min_community_size, NonZeroUsize::get),
            progress,
        };
        Ok(Clusters {
            groups: community_detection(embeddings, &options)?,
            converged: None,
        })
    }
}
