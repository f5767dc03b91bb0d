//! C interface of lean-aggregator-client.
