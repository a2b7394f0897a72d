"""Makes the golden values of the map of crates/mining: affinities, gradient and layout of t-SNE.

usage: goldens_tsne.py

Lays out the first 100 vectors of crates/mining/tests/golden/mining.safetensors, scaled to length 1.
Made with scikit-learn 1.9.1.
"""

from pathlib import Path

import numpy
from safetensors.numpy import load_file, save_file
from sklearn.manifold import TSNE, trustworthiness
from sklearn.manifold._t_sne import _joint_probabilities_nn, _kl_divergence_bh
from sklearn.neighbors import NearestNeighbors

GOLDEN = Path(__file__).parent.parent / "crates/mining/tests/golden"
ROWS = 100
PERPLEXITY = 10.0


def main():
    embeddings = load_file(GOLDEN / "mining.safetensors")["embeddings"][:ROWS]
    unit = embeddings / numpy.linalg.norm(embeddings, axis=1, keepdims=True)
    distances = NearestNeighbors(n_neighbors=int(3 * PERPLEXITY + 1)).fit(unit).kneighbors_graph(mode="distance")
    distances.data **= 2
    affinities = _joint_probabilities_nn(distances, PERPLEXITY, 0)
    points = numpy.stack([numpy.sin(1.7 * numpy.arange(ROWS)) * 3, numpy.cos(2.3 * numpy.arange(ROWS))], 1)
    _, gradient = _kl_divergence_bh(points.ravel().astype(numpy.float32), affinities, 1, ROWS, 2, angle=0.0)
    layout = TSNE(perplexity=PERPLEXITY, init="pca", random_state=0).fit_transform(unit)
    save_file(
        {
            "affinities": affinities.toarray().astype(numpy.float32),
            "gradient": gradient.reshape(ROWS, 2).astype(numpy.float32),
            "layout": layout.astype(numpy.float32),
            "trustworthiness": numpy.array([[trustworthiness(unit, layout, n_neighbors=10)]], numpy.float32),
        },
        GOLDEN / "tsne.safetensors",
    )


main()
