//! Tokens: what one server of an installation tells another about a client, carried by the client itself.
//!
//! A client only stores the text and gives it back (operations.md 1.6). Name servers, masters and game servers that
//! share a secret can open each other's tokens; nobody else can read, change or make one.
//!
//! The text is base64url without padding of:
//!
//! | bytes | content |
//! |---|---|
//! | 1 | version, 1 |
//! | 4 | key id |
//! | 12 | nonce |
//! | n | fields, encrypted with AES-256-GCM; the bytes before are authenticated with them |
//! | 16 | authentication tag |
//!
//! A field is a tag byte, a big-endian 16-bit length and its bytes; an absent optional field has no entry.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use rand::CryptoRng;

/// Life of a token unless the operator says otherwise.
pub const DEFAULT_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Longest token text that [`TokenKeys::open`] looks at and [`TokenKeys::seal`] makes, in characters.
pub const MAX_TOKEN_CHARS: usize = 8192;

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
/// Separates these keys from any other use of the operator's secret.
const DERIVATION_SALT: &[u8] = b"lampyris token v1";
const KEYS_SALT: &[u8] = b"lampyris token secret of configured keys";

/// What the servers need to know of an authenticated client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// End of validity, in milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
    /// Renewals never go beyond this, in milliseconds since the Unix epoch: the authentication provider's `ExpireAt`.
    pub final_expiry_ms: Option<u64>,
    /// The client's AppId.
    pub app_id: String,
    /// The client's AppVersion.
    pub app_version: String,
    /// The user; never empty.
    pub user_id: String,
    /// Unique per authentication: two connections with the same user and session belong to one client.
    pub session_id: String,
    /// Nickname from the authentication provider.
    pub nickname: Option<String>,
    /// The authentication provider that vouched for the user: the client's parameter 217.
    pub auth_type: Option<u8>,
    /// Keys for encryption without a key exchange, made for AuthOnce clients.
    pub encryption: Option<EncryptionData>,
    /// The game server that this token is good for; unbound if none.
    pub expected_game_server: Option<String>,
    /// The room that this token is good for; unbound if none.
    pub expected_room: Option<String>,
    /// The authentication provider's cookie as one serialized value: never shown to the client, given to web hooks.
    pub auth_cookie: Option<Bytes>,
}

/// Parameter 192: how Master and Game connections of one authentication are encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionData {
    /// 0 payload encryption, 13 datagram encryption.
    pub mode: u8,
    /// AES-256 key.
    pub secret: [u8; 32],
}

impl fmt::Debug for EncryptionData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionData").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was ours, and its time is over: return code 32753.
    #[error("token expired")]
    Expired,
    /// It is not ours, was changed, or its key is no longer live: return code 32767.
    #[error("expected a token of this installation, found something else")]
    Invalid,
}

/// Why a token could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A field or the whole is too long.
    #[error("expected a token of at most {MAX_TOKEN_CHARS} characters, found content of {0} bytes")]
    TooLong(usize),
    /// The cipher refused; not caused by the content.
    #[error("the cipher failed to seal a token")]
    Cipher,
}

impl Token {
    /// Sets the end of validity to `lifetime` after `now_ms` (since the Unix epoch), never beyond the final expiry.
    pub fn renew(&mut self, now_ms: u64, lifetime: Duration) {
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let expiry = now_ms.saturating_add(lifetime_ms);
        self.expires_at_ms = self.final_expiry_ms.map_or(expiry, |last| last.min(expiry));
    }

    /// Whether two tokens come from one authentication of one user.
    #[must_use]
    pub fn same_session(&self, other: &Self) -> bool {
        self.user_id == other.user_id && self.session_id == other.session_id
    }
}

/// One key of an installation.
pub struct TokenKey {
    id: [u8; KEY_ID_LEN],
    key: LessSafeKey,
}

impl TokenKey {
    /// The key that belongs to a secret of the operator; servers with the same secret get the same key.
    ///
    /// The secret should have 32 random bytes; it is stretched to a key, not hardened against guessing.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn derive(secret: &[u8]) -> Result<Self, SealError> {
        let pseudo_random = hkdf::Salt::new(hkdf::HKDF_SHA256, DERIVATION_SALT).extract(secret);
        let mut id = [0; KEY_ID_LEN];
        let mut key = [0; 32];
        expand(&pseudo_random, b"id", &mut id)?;
        expand(&pseudo_random, b"key", &mut key)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| SealError::Cipher)?;
        Ok(Self { id, key: LessSafeKey::new(key) })
    }
}

/// The secret that belongs to the two keys which operators write in the files of their servers; servers with the same
/// keys have the same secret.
///
/// # Errors
/// The cryptographic library failed.
pub fn secret_of_keys(token_key: &str, mac_key: &str) -> Result<[u8; 32], SealError> {
    let keys = [token_key, mac_key];
    // With the lengths in front no other pair of keys reads the same.
    let lengths = keys.map(|key| u64::try_from(key.len()).unwrap_or(u64::MAX).to_be_bytes());
    let material = [&lengths.concat(), token_key.as_bytes(), mac_key.as_bytes()].concat();
    let mut secret = [0; 32];
    expand(&hkdf::Salt::new(hkdf::HKDF_SHA256, KEYS_SALT).extract(&material), b"secret", &mut secret)?;
    Ok(secret)
}

/// A length asked of HKDF.
struct OutputLen(usize);

impl hkdf::KeyType for OutputLen {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(pseudo_random: &hkdf::Prk, purpose: &[u8], out: &mut [u8]) -> Result<(), SealError> {
    let purpose = [purpose];
    let output = pseudo_random.expand(&purpose, OutputLen(out.len())).map_err(|_| SealError::Cipher)?;
    output.fill(out).map_err(|_| SealError::Cipher)
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The live keys: one that seals, and the one before it, which still opens.
#[derive(Debug)]
pub struct TokenKeys {
    current: TokenKey,
    previous: Option<TokenKey>,
}

impl TokenKeys {
    /// Starts with one key.
    #[must_use]
    pub fn new(current: TokenKey) -> Self {
        Self { current, previous: None }
    }

    /// Seals with `next` from now on; tokens of the key in use so far stay good, those of the one before do not.
    pub fn rotate(&mut self, next: TokenKey) {
        self.previous = Some(std::mem::replace(&mut self.current, next));
    }

    /// Makes the text of a token. Nonces are random: a key is good for 2^32 tokens.
    ///
    /// # Errors
    /// The content is too long, or the cryptographic library failed.
    pub fn seal(&self, token: &Token, rng: &mut impl CryptoRng) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let mut header = Vec::with_capacity(512);
        header.push(VERSION);
        header.extend_from_slice(&self.current.id);
        header.extend_from_slice(&nonce);

        let mut body = write_fields(token)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.current
            .key
            .seal_in_place_append_tag(nonce, Aad::from(&header), &mut body)
            .map_err(|_| SealError::Cipher)?;
        header.append(&mut body);

        let text = URL_SAFE_NO_PAD.encode(&header);
        if text.len() > MAX_TOKEN_CHARS { Err(SealError::TooLong(header.len())) } else { Ok(text) }
    }

    /// Reads the text of a token; `now_ms` is the time since the Unix epoch.
    ///
    /// # Errors
    /// See [`TokenError`]. An expired token is only called so if it is ours.
    pub fn open(&self, text: &str, now_ms: u64) -> Result<Token, TokenError> {
        if text.len() > MAX_TOKEN_CHARS {
            return Err(TokenError::Invalid);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Invalid)?;
        let (header, body) = bytes.split_at_mut_checked(HEADER_LEN).ok_or(TokenError::Invalid)?;
        let (&mut version, rest) = header.split_first_mut().ok_or(TokenError::Invalid)?;
        let (id, nonce) = rest.split_at_checked(KEY_ID_LEN).ok_or(TokenError::Invalid)?;
        if version != VERSION {
            return Err(TokenError::Invalid);
        }
        let key = [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.id == id)
            .ok_or(TokenError::Invalid)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| TokenError::Invalid)?;
        let plain = key.key.open_in_place(nonce, Aad::from(&header), body).map_err(|_| TokenError::Invalid)?;
        let token = read_fields(plain).ok_or(TokenError::Invalid)?;
        if token.expires_at_ms <= now_ms { Err(TokenError::Expired) } else { Ok(token) }
    }
}

const EXPIRES_AT: u8 = 1;
const FINAL_EXPIRY: u8 = 2;
const APP_ID: u8 = 3;
const APP_VERSION: u8 = 4;
const USER_ID: u8 = 5;
const SESSION_ID: u8 = 6;
const NICKNAME: u8 = 7;
const AUTH_TYPE: u8 = 8;
const ENCRYPTION_MODE: u8 = 9;
const ENCRYPTION_SECRET: u8 = 10;
const EXPECTED_GAME_SERVER: u8 = 11;
const EXPECTED_ROOM: u8 = 12;
const AUTH_COOKIE: u8 = 13;
/// Tags are below this.
const TAGS: usize = 14;

fn write_fields(token: &Token) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::with_capacity(384);
    let mut field = |tag: u8, bytes: Option<&[u8]>| -> Result<(), SealError> {
        let Some(bytes) = bytes else { return Ok(()) };
        let len = u16::try_from(bytes.len()).map_err(|_| SealError::TooLong(bytes.len()))?;
        out.push(tag);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(bytes);
        Ok(())
    };
    let encryption = token.encryption.as_ref();
    field(EXPIRES_AT, Some(&token.expires_at_ms.to_be_bytes()))?;
    field(FINAL_EXPIRY, token.final_expiry_ms.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice))?;
    field(APP_ID, Some(token.app_id.as_bytes()))?;
    field(APP_VERSION, Some(token.app_version.as_bytes()))?;
    field(USER_ID, Some(token.user_id.as_bytes()))?;
    field(SESSION_ID, Some(token.session_id.as_bytes()))?;
    field(NICKNAME, token.nickname.as_deref().map(str::as_bytes))?;
    field(AUTH_TYPE, token.auth_type.as_ref().map(std::slice::from_ref))?;
    field(ENCRYPTION_MODE, encryption.map(|keys| std::slice::from_ref(&keys.mode)))?;
    field(ENCRYPTION_SECRET, encryption.map(|keys| keys.secret.as_slice()))?;
    field(EXPECTED_GAME_SERVER, token.expected_game_server.as_deref().map(str::as_bytes))?;
    field(EXPECTED_ROOM, token.expected_room.as_deref().map(str::as_bytes))?;
    field(AUTH_COOKIE, token.auth_cookie.as_deref())?;
    Ok(out)
}

/// The field of each tag, by tag.
struct Fields<'a>([Option<&'a [u8]>; TAGS]);

impl<'a> Fields<'a> {
    fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let mut fields = [None; TAGS];
        while let Some((&[tag, high, low], rest)) = bytes.split_first_chunk() {
            let (field, rest) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
            *fields.get_mut(usize::from(tag))? = Some(field);
            bytes = rest;
        }
        bytes.is_empty().then_some(Self(fields))
    }

    fn bytes(&self, tag: u8) -> Option<&'a [u8]> {
        self.0.get(usize::from(tag)).copied().flatten()
    }

    fn string(&self, tag: u8) -> Option<String> {
        self.bytes(tag).and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
    }

    fn array<const N: usize>(&self, tag: u8) -> Option<[u8; N]> {
        self.bytes(tag).and_then(|bytes| bytes.try_into().ok())
    }
}

fn read_fields(bytes: &[u8]) -> Option<Token> {
    let fields = Fields::parse(bytes)?;
    let mode = fields.array(ENCRYPTION_MODE).map(|[mode]: [u8; 1]| mode);
    Some(Token {
        expires_at_ms: u64::from_be_bytes(fields.array(EXPIRES_AT)?),
        final_expiry_ms: fields.array(FINAL_EXPIRY).map(u64::from_be_bytes),
        app_id: fields.string(APP_ID)?,
        app_version: fields.string(APP_VERSION)?,
        user_id: fields.string(USER_ID)?,
        session_id: fields.string(SESSION_ID)?,
        nickname: fields.string(NICKNAME),
        auth_type: fields.array(AUTH_TYPE).map(|[kind]: [u8; 1]| kind),
        encryption: mode.zip(fields.array(ENCRYPTION_SECRET)).map(|(mode, secret)| EncryptionData { mode, secret }),
        expected_game_server: fields.string(EXPECTED_GAME_SERVER),
        expected_room: fields.string(EXPECTED_ROOM),
        auth_cookie: fields.bytes(AUTH_COOKIE).map(Bytes::copy_from_slice),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const NOW_MS: u64 = 1_700_000_000_000;

    fn full() -> Token {
        Token {
            expires_at_ms: NOW_MS + 3_600_000,
            final_expiry_ms: Some(NOW_MS + 7_200_000),
            app_id: "0c9f6a5e-43c1-4a5f-9a7a-6d1d7a6f0d11".into(),
            app_version: "1.0_2.51".into(),
            user_id: "2b1f4e0e-9d0e-4d3b-8a6f-0d1f5b7d9c33".into(),
            session_id: "8f14e45f-ceea-4671-a2b1-7e9c1a2b3c4d".into(),
            nickname: Some("Ann é".into()),
            auth_type: Some(0),
            encryption: Some(EncryptionData { mode: 0, secret: [7; 32] }),
            expected_game_server: Some("game-1.example.org".into()),
            expected_room: Some("7f3d7b1e-58a0-4b53-9c0f-3b5f0a2e4d55".into()),
            auth_cookie: Some(Bytes::from_static(b"\x15\x00")),
        }
    }

    fn bare() -> Token {
        Token {
            final_expiry_ms: None,
            nickname: None,
            auth_type: None,
            encryption: None,
            expected_game_server: None,
            expected_room: None,
            auth_cookie: None,
            app_id: String::new(),
            app_version: String::new(),
            ..full()
        }
    }

    fn keys(secret: &[u8]) -> TokenKeys {
        TokenKeys::new(TokenKey::derive(secret).unwrap())
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    #[test]
    fn the_same_keys_make_the_same_secret_and_any_others_do_not() {
        let of = |token, mac| secret_of_keys(token, mac).unwrap();
        assert_eq!(of("key", "mac"), of("key", "mac"));
        let others = [of("key", ""), of("", "key"), of("keymac", ""), of("mac", "key"), of("ke", "ymac")];
        assert!(others.iter().all(|other| *other != of("key", "mac")));
    }

    #[test]
    fn what_is_sealed_opens_again_on_another_server_with_the_same_secret() {
        for token in [full(), bare()] {
            let text = keys(b"secret").seal(&token, &mut rng()).unwrap();
            assert_eq!(keys(b"secret").open(&text, NOW_MS), Ok(token));
        }
    }

    #[test]
    fn usual_content_stays_under_700_characters_of_url_safe_text() {
        let text = keys(b"secret").seal(&full(), &mut rng()).unwrap();
        assert!(text.len() < 700, "{} characters", text.len());
        assert!(text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
    }

    #[test]
    fn two_seals_of_one_token_differ() {
        let mut rng = rng();
        let keys = keys(b"secret");
        assert_ne!(keys.seal(&full(), &mut rng), keys.seal(&full(), &mut rng));
    }

    #[test]
    fn a_change_of_any_bit_is_noticed() {
        let keys = keys(b"secret");
        let bytes = URL_SAFE_NO_PAD.decode(keys.seal(&full(), &mut rng()).unwrap()).unwrap();
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[index] ^= 1 << bit;
                let text = URL_SAFE_NO_PAD.encode(changed);
                assert_eq!(keys.open(&text, NOW_MS), Err(TokenError::Invalid), "byte {index}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_change_of_any_character_and_every_cut_is_noticed() {
        let keys = keys(b"secret");
        let text = keys.seal(&full(), &mut rng()).unwrap();
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(keys.open(&changed, NOW_MS), Err(TokenError::Invalid), "character {index}");
            assert_eq!(keys.open(&text[..index], NOW_MS), Err(TokenError::Invalid), "cut at {index}");
        }
    }

    #[test]
    fn another_secret_does_not_open_it() {
        let text = keys(b"secret").seal(&full(), &mut rng()).unwrap();
        assert_eq!(keys(b"Secret").open(&text, NOW_MS), Err(TokenError::Invalid));
    }

    #[test]
    fn another_key_under_the_same_id_does_not_open_it() {
        let text = keys(b"secret").seal(&full(), &mut rng()).unwrap();
        let mut other = TokenKey::derive(b"other").unwrap();
        other.id = TokenKey::derive(b"secret").unwrap().id;
        assert_eq!(TokenKeys::new(other).open(&text, NOW_MS), Err(TokenError::Invalid));
    }

    #[test]
    fn a_token_is_good_until_the_millisecond_it_expires() {
        let keys = keys(b"secret");
        let token = full();
        let text = keys.seal(&token, &mut rng()).unwrap();
        assert!(keys.open(&text, token.expires_at_ms - 1).is_ok());
        assert_eq!(keys.open(&text, token.expires_at_ms), Err(TokenError::Expired));
    }

    #[test]
    fn the_key_before_the_current_one_still_opens_and_the_one_before_that_does_not() {
        let mut keys = keys(b"first");
        let mut rng = rng();
        let first = keys.seal(&full(), &mut rng).unwrap();
        keys.rotate(TokenKey::derive(b"second").unwrap());
        let second = keys.seal(&full(), &mut rng).unwrap();
        assert!(keys.open(&first, NOW_MS).is_ok());
        assert!(keys.open(&second, NOW_MS).is_ok());
        keys.rotate(TokenKey::derive(b"third").unwrap());
        assert_eq!(keys.open(&first, NOW_MS), Err(TokenError::Invalid));
        assert!(keys.open(&second, NOW_MS).is_ok());
    }

    #[test]
    fn renewal_stops_at_the_final_expiry() {
        let mut token = full();
        token.renew(NOW_MS, DEFAULT_TOKEN_LIFETIME);
        assert_eq!(token.expires_at_ms, NOW_MS + 3_600_000);
        token.renew(NOW_MS + 6_000_000, DEFAULT_TOKEN_LIFETIME);
        assert_eq!(token.expires_at_ms, NOW_MS + 7_200_000);
    }

    #[test]
    fn content_that_is_too_long_is_refused_when_sealing_and_text_when_opening() {
        let keys = keys(b"secret");
        let long = Token { auth_cookie: Some(vec![0; MAX_TOKEN_CHARS].into()), ..bare() };
        assert!(matches!(keys.seal(&long, &mut rng()), Err(SealError::TooLong(_))));
        let longer = Token { nickname: Some("n".repeat(70_000)), ..bare() };
        assert_eq!(keys.seal(&longer, &mut rng()), Err(SealError::TooLong(70_000)));
        assert_eq!(keys.open(&"A".repeat(MAX_TOKEN_CHARS + 4), NOW_MS), Err(TokenError::Invalid));
    }

    #[test]
    fn garbage_is_invalid() {
        let keys = keys(b"secret");
        for text in ["", "A", "303ac33cf45a7a68a45fc8b5", "é", "====", "AQ"] {
            assert_eq!(keys.open(text, NOW_MS), Err(TokenError::Invalid), "{text:?}");
        }
    }

    #[test]
    fn secrets_stay_out_of_debug_output() {
        assert!(!format!("{:?}", full()).contains("7, 7"));
    }
}
