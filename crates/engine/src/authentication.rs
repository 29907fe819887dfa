//! Who a client is: anonymous users and tokens (operations.md, sections 1.3, 1.6 and 2.2).

use std::fmt::Write as _;
use std::time::Duration;

use lampyris_realtime::codes::{Refusal, ReturnCode, key};
use lampyris_realtime::parameters::Fields;
use lampyris_realtime::token::{EncryptionData, Token, TokenError};
use lampyris_wire::{Dictionary, DictionaryType, TypeCode, Value};
use rand::Rng as _;

use crate::Worker;

/// Most authentication attempts of one connection.
pub(crate) const MAX_ATTEMPTS: u8 = 3;

/// Longest AppId, AppVersion and user id, in bytes; they travel in every token.
const MAX_NAME_BYTES: usize = 512;

/// The authentication type that means "none".
const AUTH_TYPE_NONE: u8 = 255;

/// Payload encryption: the only mode handed out, see transports.md 7.3.
const PAYLOAD_ENCRYPTION: u8 = 0;

impl Worker {
    /// Milliseconds since the Unix epoch.
    pub(crate) fn unix_ms(&self, now: Duration) -> u64 {
        u64::try_from((self.config.clock_started_at_unix + now).as_millis()).unwrap_or(u64::MAX)
    }

    /// A token for a client that brings none.
    pub(crate) fn authenticate_anonymous(&mut self, fields: Fields<'_, '_>) -> Result<Token, Refusal> {
        let auth_type = fields.byte(key::CLIENT_AUTH_TYPE, "ClientAuthType")?.filter(|kind| *kind != AUTH_TYPE_NONE);
        let credentials = fields.value(key::CLIENT_AUTH_PARAMETERS, "ClientAuthParameters")?.is_some()
            || fields.value(key::CLIENT_AUTH_DATA, "ClientAuthData")?.is_some();
        if let Some(kind) = auth_type
            && credentials
        {
            return Err(Refusal::new(
                ReturnCode::CUSTOM_AUTHENTICATION_FAILED,
                format!("no authentication provider is configured for type {kind}"),
            ));
        }
        let user_id = name(fields, key::USER_ID, "UserId")?.filter(|id| !id.is_empty());
        Ok(Token {
            expires_at_ms: 0,
            final_expiry_ms: None,
            app_id: name(fields, key::APPLICATION_ID, "ApplicationId")?.unwrap_or_default(),
            app_version: name(fields, key::APP_VERSION, "AppVersion")?.unwrap_or_default(),
            user_id: user_id.unwrap_or_else(|| self.new_guid()),
            session_id: self.new_guid(),
            nickname: None,
            auth_type,
            encryption: None,
            expected_game_server: None,
            expected_room: None,
            auth_cookie: None,
        })
    }

    /// Opens the token that a client presented.
    pub(crate) fn open_token(&self, now: Duration, token: &Value) -> Result<Token, Refusal> {
        let text = match token {
            Value::String(text) => Some(&**text),
            Value::ByteArray(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        let opened = text.ok_or(TokenError::Invalid).and_then(|text| self.tokens.open(text, self.unix_ms(now)));
        opened.map_err(|error| {
            let code = match error {
                TokenError::Expired => ReturnCode::AUTHENTICATION_TOKEN_EXPIRED,
                TokenError::Invalid => ReturnCode::INVALID_AUTHENTICATION,
            };
            Refusal::new(code, error.to_string())
        })
    }

    /// The text of a token, its life starting now.
    pub(crate) fn seal_token(
        &mut self,
        now: Duration,
        token: &mut Token,
        lifetime: Duration,
    ) -> Result<String, Refusal> {
        token.renew(self.unix_ms(now), lifetime);
        self.tokens
            .seal(token, &mut self.rng)
            .map_err(|error| Refusal::new(ReturnCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }

    /// Fresh keys for the Master and Game connections of an AuthOnce client.
    pub(crate) fn new_encryption_data(&mut self) -> EncryptionData {
        let mut secret = [0; 32];
        self.rng.fill_bytes(&mut secret);
        EncryptionData { mode: PAYLOAD_ENCRYPTION, secret }
    }

    /// A random identifier in the form of a GUID.
    pub(crate) fn new_guid(&mut self) -> String {
        let mut bytes = [0u8; 16];
        self.rng.fill_bytes(&mut bytes);
        let mut text = String::with_capacity(36);
        for (at, byte) in bytes.into_iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// Parameter 192 as clients read it: a dictionary with byte keys, not a hashtable.
pub(crate) fn encryption_parameter(data: &EncryptionData) -> Value {
    Value::from(Dictionary {
        types: DictionaryType { key: TypeCode::Byte, value: TypeCode::Object },
        entries: [(Value::Byte(0), Value::Byte(data.mode)), (Value::Byte(1), Value::from(data.secret.to_vec()))]
            .into_iter()
            .collect(),
    })
}

/// A text parameter of bounded length.
fn name(fields: Fields<'_, '_>, key: u8, what: &'static str) -> Result<Option<String>, Refusal> {
    match fields.string(key, what)? {
        Some(text) if text.len() > MAX_NAME_BYTES => Err(Refusal::invalid(format!(
            "parameter {key} ({what}): expected at most {MAX_NAME_BYTES} bytes, got {}",
            text.len()
        ))),
        Some(text) => Ok(Some(text.to_string())),
        None => Ok(None),
    }
}
