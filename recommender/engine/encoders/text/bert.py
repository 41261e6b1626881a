"""Any Hugging Face encoder of texts (BERT, RoBERTa, MPNet, E5, BGE...), pooled; see pooled and huggingface."""

from recommender.engine.encoders.text.pooled import PooledEncoder


class BertEncoder(PooledEncoder):
    pass
