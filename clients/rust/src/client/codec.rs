//! Codecs: requests of bytes that are frozen already, and answers decoded by prost.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::Status;

use super::clock::Clock;
use super::encode::TryBody;
use crate::proto;

/// Encodes a try when the connection takes it, so that its budgets are those of that instant.
pub(super) struct TryCodec {
    pub clock: Clock,
    /// When the try was encoded, in the clock's milliseconds.
    pub sent_at_ms: Arc<AtomicU64>,
}

impl Codec for TryCodec {
    type Encode = TryBody;
    type Decode = proto::SubmitSnapshotResponse;
    type Encoder = TryEncoder;
    type Decoder = ProstDecoder<Self::Decode>;

    fn encoder(&mut self) -> TryEncoder {
        TryEncoder {
            clock: self.clock,
            sent_at_ms: self.sent_at_ms.clone(),
        }
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder(PhantomData)
    }
}

pub(super) struct TryEncoder {
    clock: Clock,
    sent_at_ms: Arc<AtomicU64>,
}

impl Encoder for TryEncoder {
    type Item = TryBody;
    type Error = Status;

    fn encode(&mut self, body: TryBody, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(body.bytes_max());
        self.sent_at_ms
            .store(self.clock.now_ms(), Ordering::Relaxed);
        body.write(&self.clock, out);
        Ok(())
    }
}

/// A codec of two prost messages.
pub(super) struct ProstCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for ProstCodec<T, U> {
    fn default() -> Self {
        ProstCodec(PhantomData)
    }
}

impl<T, U> Codec for ProstCodec<T, U>
where
    T: Message + 'static,
    U: Message + Default + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstEncoder(PhantomData)
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstDecoder(PhantomData)
    }
}

pub(super) struct ProstEncoder<T>(PhantomData<T>);

impl<T: Message> Encoder for ProstEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let encoded = item.encode(out);
        encoded.map_err(|error| Status::internal(format!("cannot encode: {error}")))
    }
}

pub(super) struct ProstDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for ProstDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let decoded = U::decode(from).map(Some);
        decoded.map_err(|error| Status::internal(format!("cannot decode: {error}")))
    }
}
