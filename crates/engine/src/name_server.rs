//! The NameServer: regions and authentication (operations.md, sections 1.2 to 1.5).

use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::codes::{Refusal, ReturnCode, key, operation};
use lampyris_realtime::parameters::Fields;
use lampyris_wire::{Parameters, RawRequest, Value};
use rand::RngExt as _;

use crate::authentication::{MAX_ATTEMPTS, encryption_parameter};
use crate::connection::{Deadline, ReplyMode};
use crate::session::Session;
use crate::{ConnectionKey, Transport, Worker};

/// The region code told to clients when none is configured.
const UNNAMED_REGION: &str = "local";

/// Encryption modes a client may ask for; the answer is always payload encryption.
const KNOWN_ENCRYPTION_MODES: [u8; 6] = [0, 1, 2, 10, 11, 13];

impl Worker {
    /// One operation on the NameServer.
    pub(crate) fn name_server_request(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        mode: ReplyMode,
        request: &RawRequest<'_>,
    ) {
        let fields = Fields(&request.parameters);
        match request.code {
            operation::GET_REGIONS => {
                let answer = self.regions(key);
                self.answer(now, key, mode, request.code, answer);
            }
            operation::AUTHENTICATE | operation::AUTHENTICATE_ONCE => {
                let once = request.code == operation::AUTHENTICATE_ONCE;
                let answer = self.authenticate_on_name_server(now, key, mode, fields, once);
                let succeeded = answer.is_ok();
                self.answer(now, key, mode, request.code, answer);
                if succeeded {
                    // Not `Ended`: a client may authenticate again, for another region.
                    self.close_between(now, key, "authenticated");
                }
            }
            code => {
                let refusal = Refusal::invalid(format!("operation {code} is not one of the NameServer's"));
                self.answer(now, key, mode, code, Err(refusal));
            }
        }
    }

    /// The regions and the Master's address in each, for the client's own transport. Of several Masters of one region
    /// the first that has an address is told.
    fn regions(&self, key: ConnectionKey) -> Result<Parameters, Refusal> {
        let connection = self.connection(key).ok_or_else(no_address)?;
        let mut told: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for region in &self.config.addresses.regions {
            let code = region.code.as_deref().unwrap_or(UNNAMED_REGION);
            if !told.iter().any(|(known, _)| &**known == code)
                && let Some(address) = region.master.told(connection.transport, &connection.reached)
            {
                told.push((Arc::from(code), Arc::from(address)));
            }
        }
        if told.is_empty() {
            return Err(no_address());
        }
        let (codes, addresses): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        Ok(Parameters::from([(key::REGION, Value::StringArray(codes)), (key::ADDRESS, Value::StringArray(addresses))]))
    }

    /// The address of a Master in the region that the client asks for, in any case and with a cluster behind it; one
    /// of them at random if there are several. A client that asks for none gets the first region.
    fn master_address(
        &mut self,
        key: ConnectionKey,
        fields: Fields<'_, '_>,
        transport: Transport,
    ) -> Result<String, Refusal> {
        let asked = fields.string(key::REGION, "Region")?;
        let asked = asked.as_deref().unwrap_or_default();
        let regions = &self.config.addresses.regions;
        let code = asked.split('/').next().filter(|code| !code.is_empty());
        let code = code.or_else(|| regions.first()?.code.as_deref());
        let is_asked = |own: &str| code.is_none_or(|code| code.eq_ignore_ascii_case(own));
        let here: Vec<_> = regions.iter().filter(|region| region.code.as_deref().is_none_or(is_asked)).collect();
        if here.is_empty() && !regions.is_empty() {
            let shown: String = asked.chars().filter(|c| !c.is_control()).take(40).collect();
            let mut served: Vec<_> = regions.iter().filter_map(|region| region.code.as_deref()).collect();
            served.dedup();
            let text = format!("region \"{shown}\" is not served here; expected one of {}", served.join(", "));
            return Err(Refusal::new(ReturnCode::INVALID_REGION, text));
        }
        let connection = self.connection(key).ok_or_else(no_address)?;
        let told = here.into_iter().filter_map(|region| region.master.told(transport, &connection.reached));
        let mut told: Vec<_> = told.collect();
        if told.is_empty() {
            return Err(no_address());
        }
        let drawn = self.rng.random_range(0..told.len());
        Ok(told.swap_remove(drawn))
    }

    /// Closes the connection of a client that got its answer, unless it does so itself before. Not all at once: many
    /// clients that came together would go together.
    fn close_between(&mut self, now: Duration, key: ConnectionKey, reason: &'static str) {
        let wait = self.rng.random_range(self.config.name_server.close_after.clone());
        if let Some(connection) = self.connection_mut(key) {
            connection.deadline = Some((now.saturating_add(wait), Deadline::Close(reason)));
        }
        self.touch(key);
    }

    fn authenticate_on_name_server(
        &mut self,
        now: Duration,
        key: ConnectionKey,
        mode: ReplyMode,
        fields: Fields<'_, '_>,
        once: bool,
    ) -> Result<Parameters, Refusal> {
        let connection = self.connection_mut(key).ok_or_else(no_address)?;
        if let Session::NameServer { attempts } = &mut connection.session {
            *attempts = attempts.saturating_add(1);
            if *attempts > MAX_ATTEMPTS {
                return Err(Refusal::denied(format!("at most {MAX_ATTEMPTS} authentications on one connection")));
            }
        }
        let own = connection.transport;
        let secure = connection.is_secure() || mode.encrypted;
        let transport = if once { expected_transport(fields, secure, own)? } else { own };
        let address = self.master_address(key, fields, transport)?;
        let mut token = self.authenticate_anonymous(fields)?;
        let mut parameters = Parameters::from([(key::ADDRESS, address)]);
        parameters.insert(key::USER_ID, token.user_id.as_str());
        if once {
            let data = self.new_encryption_data();
            parameters.insert(key::ENCRYPTION_DATA, encryption_parameter(&data));
            token.encryption = Some(data);
        }
        let lifetime = self.config.name_server.token_lifetime;
        parameters.insert(key::TOKEN, self.seal_token(now, &mut token, lifetime)?);
        Ok(parameters)
    }
}

/// The transport that an AuthenticateOnce client is going to use on Master and Game.
fn expected_transport(fields: Fields<'_, '_>, secure: bool, own: Transport) -> Result<Transport, Refusal> {
    if !secure {
        return Err(Refusal::new(
            ReturnCode::INVALID_AUTHENTICATION,
            "operation 231 hands out keys: expected it encrypted or over wss, got it in clear",
        ));
    }
    let mode = fields.byte(key::ENCRYPTION_MODE, "EncryptionMode")?.unwrap_or_default();
    if !KNOWN_ENCRYPTION_MODES.contains(&mode) {
        return Err(Refusal::invalid(format!("parameter 193 (EncryptionMode): {mode} is not a known mode")));
    }
    match fields.byte(key::EXPECTED_PROTOCOL, "ExpectedProtocol")? {
        None => Ok(own),
        Some(0) => Ok(Transport::Udp),
        Some(1) => Ok(Transport::Tcp),
        Some(4) => Ok(Transport::Ws),
        Some(5) => Ok(Transport::Wss),
        Some(other) => Err(Refusal::new(
            ReturnCode::PROTOCOL_NOT_SUPPORTED,
            format!("parameter 195 (ExpectedProtocol): expected 0 (UDP), 1 (TCP), 4 (ws) or 5 (wss), got {other}"),
        )),
    }
}

fn no_address() -> Refusal {
    Refusal::new(ReturnCode::PROTOCOL_NOT_SUPPORTED, "the Master has no address for this transport")
}
