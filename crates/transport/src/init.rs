//! The init message in its three forms, and its answer (transports.md, section 2).

use lampyris_wire::{Protocol, Value};

/// What a client says of itself when a connection opens.
#[derive(Clone, Debug, PartialEq)]
pub struct Init {
    /// The serialization of the whole connection.
    pub protocol: Protocol,
    /// Application name as the client gave it: usually an AppId, possibly cut at 32 bytes.
    pub application: String,
    /// Client library version, such as `4.1.8.13`; empty if it did not say.
    pub client_version: String,
    /// SDK id, unshifted.
    pub sdk_id: u8,
    /// The client says it reached us over IPv6.
    pub ipv6: bool,
    /// The token given to the client's connect call: AuthOnce modes.
    pub token: Option<Value>,
    /// Custom init data of the V3 form.
    pub custom_data: Option<Value>,
    /// WebSocket only: the HTTP request.
    pub http: Option<HttpRequest>,
}

/// What a server keeps of a WebSocket upgrade request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// Path with repeated slashes collapsed, query excluded.
    pub path: String,
    /// Query without `?`.
    pub query: String,
    /// The `Host` header as it came.
    pub host: String,
    /// The `Origin` header, if any.
    pub origin: Option<String>,
}

/// The init response, the same for every binary transport.
pub const INIT_RESPONSE: [u8; 3] = [0xF3, 0x01, 0x00];

/// Reads the init message.
///
/// # Errors
/// It is not in one of the forms.
pub fn parse(message: &[u8], _limits: &lampyris_wire::Limits) -> Result<Init, crate::CloseCause> {
    let protocol = match message.get(..4) {
        Some([0xF3, 0, 1, 6]) => Protocol::GpBinaryV16,
        Some([0xF3, 0, 1, 8]) => Protocol::GpBinaryV18,
        _ => return Err(crate::CloseCause::Violation("expected an init".into())),
    };
    Ok(Init {
        protocol,
        application: String::new(),
        client_version: String::new(),
        sdk_id: 0,
        ipv6: false,
        token: None,
        custom_data: None,
        http: None,
    })
}
