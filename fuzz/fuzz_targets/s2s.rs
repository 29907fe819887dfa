//! Both ends of a link between servers, before and after registration: no input breaks them, and how it is cut does not
//! matter.
#![no_main]

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use lampyris_s2s::{
    Addresses, Config, GameEnd, GameEvent, Identity, Key, MasterEnd, MasterEvent, Registration, Status,
};
use libfuzzer_sys::fuzz_target;

const NOW: Duration = Duration::from_secs(1);

fn ends() -> (GameEnd, MasterEnd) {
    let config = Arc::new(Config { key: Key::derive(b"secret"), ping_interval: Duration::from_secs(1) });
    let registration = Registration {
        identity: Identity([7; 16]),
        name: "game".into(),
        addresses: Addresses { udp: NonZeroU16::new(5056), host: Some("a".into()), ..Addresses::default() },
        priority: 0,
        status: Status::default(),
    };
    (GameEnd::new(NOW, Arc::clone(&config), registration, [1; 32]), MasterEnd::new(NOW, config, [2; 32]))
}

/// Brings the handshake so far; 3 and more is up.
fn greet(steps: u8) -> (GameEnd, MasterEnd) {
    let (mut game, mut master) = ends();
    for step in 0..steps.min(4) {
        if step % 2 == 0 {
            let bytes = game.output().to_vec();
            game.consume_output(bytes.len());
            master.receive(NOW, &bytes);
            if let Some(MasterEvent::Registering(_)) = master.poll_event() {
                master.welcome(NOW);
            }
        } else {
            let bytes = master.output().to_vec();
            master.consume_output(bytes.len());
            game.receive(NOW, &bytes);
            while game.poll_event().is_some() {}
        }
    }
    (game, master)
}

fn observe(steps: u8, input: &[u8], piece: usize) -> (Vec<GameEvent>, Vec<MasterEvent>, Vec<u8>) {
    let (mut game, mut master) = greet(steps);
    for part in input.chunks(piece.max(1)) {
        game.receive(NOW, part);
        master.receive(NOW, part);
    }
    let game_events = std::iter::from_fn(|| game.poll_event()).collect();
    let master_events = std::iter::from_fn(|| master.poll_event()).collect();
    (game_events, master_events, [game.output(), master.output()].concat())
}

fuzz_target!(|data: &[u8]| {
    let [steps, piece, input @ ..] = data else { return };
    let steps = steps % 5;
    let whole = observe(steps, input, input.len());
    assert_eq!(whole, observe(steps, input, usize::from(*piece)));
    let is_over = |events: usize| assert!(events <= 1, "an end is over more than once");
    is_over(whole.0.iter().filter(|event| matches!(event, GameEvent::Down(_))).count());
    is_over(whole.1.iter().filter(|event| matches!(event, MasterEvent::Down(_))).count());
    let registered = whole.1.iter().any(|event| matches!(event, MasterEvent::Registering(_)));
    assert!(!registered, "a registration without a proof");
});
