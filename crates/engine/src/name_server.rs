//! The NameServer: regions and authentication (operations.md, sections 1.2 to 1.5).

use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::codes::{Refusal, ReturnCode, key, operation};
use lampyris_realtime::parameters::Fields;
use lampyris_wire::{Parameters, RawRequest, Value};

use crate::authentication::{MAX_ATTEMPTS, encryption_parameter};
use crate::connection::ReplyMode;
use crate::session::Session;
use crate::{ConnectionKey, Role, Transport, Worker};

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
                    self.close_later(now, key, "authenticated");
                }
            }
            code => {
                let refusal = Refusal::invalid(format!("operation {code} is not one of the NameServer's"));
                self.answer(now, key, mode, code, Err(refusal));
            }
        }
    }

    /// The regions and the Master's address in each, for the client's own transport.
    fn regions(&self, key: ConnectionKey) -> Result<Parameters, Refusal> {
        let connection = self.connection(key).ok_or_else(no_address)?;
        let address =
            self.config.address_for(Role::Master, connection.transport, &connection.reached).ok_or_else(no_address)?;
        let region = self.config.region.as_deref().unwrap_or(UNNAMED_REGION);
        Ok(Parameters::from([
            (key::REGION, Value::StringArray(vec![Arc::from(region)])),
            (key::ADDRESS, Value::StringArray(vec![Arc::from(address)])),
        ]))
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
        self.check_region(fields)?;
        let address = self
            .connection(key)
            .and_then(|connection| self.config.address_for(Role::Master, transport, &connection.reached))
            .ok_or_else(no_address)?;

        let mut token = self.authenticate_anonymous(now, fields)?;
        let mut parameters = Parameters::from([(key::ADDRESS, address)]);
        parameters.insert(key::USER_ID, token.user_id.as_str());
        if once {
            let data = self.new_encryption_data();
            parameters.insert(key::ENCRYPTION_DATA, encryption_parameter(&data));
            token.encryption = Some(data);
        }
        parameters.insert(key::TOKEN, self.seal_token(now, &mut token)?);
        Ok(parameters)
    }

    /// Accepts the configured region in any case and with a cluster behind it; an unnamed region accepts every code.
    fn check_region(&self, fields: Fields<'_, '_>) -> Result<(), Refusal> {
        let asked = fields.string(key::REGION, "Region")?;
        let (Some(region), Some(asked)) = (&self.config.region, asked) else { return Ok(()) };
        let code = asked.split('/').next().unwrap_or_default();
        if code.is_empty() || code.eq_ignore_ascii_case(region) {
            return Ok(());
        }
        let shown: String = asked.chars().filter(|c| !c.is_control()).take(40).collect();
        Err(Refusal::new(
            ReturnCode::INVALID_REGION,
            format!("region \"{shown}\" is not served here; expected \"{region}\""),
        ))
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
    Refusal::new(ReturnCode::PROTOCOL_NOT_SUPPORTED, "no Master listener serves this transport")
}
