//! What must hold for all input of a stream transport.

use lampyris_transport::Incoming;

/// What a connection told its owner and its peer.
#[derive(Debug, PartialEq)]
pub struct Observed {
    /// Every incoming, bodies copied, as text.
    pub events: Vec<String>,
    /// Every byte for the peer.
    pub out: Vec<u8>,
}

/// Feeds `wire` to a connection in pieces of `piece` bytes.
pub fn observe<C>(
    mut connection: C,
    wire: &[u8],
    piece: usize,
    receive: impl Fn(&mut C, &mut [u8], &mut Vec<Incoming>, &mut Vec<u8>),
) -> Observed {
    let mut observed = Observed { events: Vec::new(), out: Vec::new() };
    for part in wire.chunks(piece.max(1)) {
        let mut input = part.to_vec();
        let mut incoming = Vec::new();
        receive(&mut connection, &mut input, &mut incoming, &mut observed.out);
        observed.events.extend(incoming.into_iter().map(|event| match event {
            Incoming::Message { channel, delivery, body } => {
                format!("{channel} {delivery:?} {:?}", body.bytes(&input))
            }
            other => format!("{other:?}"),
        }));
    }
    observed
}

/// Checks that the way a stream is cut does not matter. The first byte of `data` says how it is cut.
pub fn check_cuts<C>(
    data: &[u8],
    prefix: &[u8],
    new: impl Fn() -> C,
    receive: impl Fn(&mut C, &mut [u8], &mut Vec<Incoming>, &mut Vec<u8>),
) -> Option<Observed> {
    let (piece, rest) = data.split_first()?;
    let wire = [prefix, rest].concat();
    let whole = observe(new(), &wire, wire.len(), &receive);
    assert_eq!(whole, observe(new(), &wire, usize::from(*piece), &receive));
    Some(whole)
}
