// SPDX-License-Identifier: Apache-2.0
//
// Peer: iceoryx2, a publish-subscribe service of byte slices each way, built in place (loan_slice_uninit). Polling tries receive again and again; sleeping adds
// an event service each way, whose notifier is called after each send and on whose listener the receiver blocks: what iceoryx2's own examples do.
//
// Everything it makes carries the pair's folder in its path or its name, so that what a killed end leaves behind is found and removed (peer.h).

use std::ffi::{c_char, c_int, c_void, CStr};
use std::io::{Read, Write};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path as StdPath;

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::sample::Sample;
use iceoryx2::sample_mut_uninit::SampleMutUninit;
use iceoryx2_bb_elementary::package_version::PackageVersion;

const ABI: u32 = 1;
const POLLING: u32 = 1;
const SLEEPING: u32 = 2;

type Ipc = ipc::Service;
type Reason = Box<dyn std::error::Error>;

// As in peer.h.
#[repr(C)]
pub struct Setup {
    socket: i32,
    end: i32,
    wait: i32,
    readers: u32,
    depth: u32,
    bytes_out: u64,
    bytes_in: u64,
    folder: *const c_char,
    error: *mut c_char,
    error_bytes: u64,
}

#[repr(C)]
pub struct Api {
    abi: u32,
    waits: u32,
    max_readers: u32,
    copies: u32,
    max_bytes: u64,
    name: *const c_char,
    version: extern "C" fn() -> *const c_char,
    open: unsafe extern "C" fn(*const Setup) -> *mut End,
    loan: unsafe extern "C" fn(*mut End, u64) -> *mut c_void,
    send: unsafe extern "C" fn(*mut End, u64) -> i32,
    receive: unsafe extern "C" fn(*mut End, *mut *const c_void, *mut u64) -> i32,
    release: unsafe extern "C" fn(*mut End),
    close: unsafe extern "C" fn(*mut End),
}
unsafe impl Sync for Api {}

struct ErrorText {
    to: *mut c_char,
    bytes: usize,
}

impl ErrorText {
    fn set(&self, reason: &dyn std::fmt::Display) {
        let text = reason.to_string();
        let size = text.len().min(self.bytes - 1);
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), self.to as *mut u8, size);
            *self.to.add(size) = 0;
        }
    }
}

// Dropped from top to bottom: samples, ports, node.
pub struct End {
    received: Option<Sample<Ipc, [u8], ()>>,
    loaned: Option<SampleMutUninit<Ipc, [MaybeUninit<u8>], ()>>,
    publisher: Publisher<Ipc, [u8], ()>,
    subscribers: Vec<Subscriber<Ipc, [u8], ()>>,
    next: usize,
    events: Option<(Notifier<Ipc>, Listener<Ipc>)>,
    _node: Node<Ipc>,
    error: ErrorText,
}

fn config_in(folder: &str) -> Result<Config, Reason> {
    let name = StdPath::new(folder).file_name().and_then(|name| name.to_str()).ok_or("a folder without a name")?;
    let mut config = Config::default();
    config.global.set_root_path(&Path::new(folder.as_bytes())?);
    config.global.prefix = FileName::new(format!("{name}_").as_bytes())?;
    Ok(config)
}

// The end with the number 0 goes first: the other finds its services made, instead of waiting for one that is being made. Then each knows that the other's ports
// are there: what is sent before the other subscribes would be lost.
fn tell(socket: i32) -> Result<(), Reason> {
    Ok(ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(socket) }).write_all(b"i")?)
}

fn hear(socket: i32) -> Result<(), Reason> {
    Ok(ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(socket) }).read_exact(&mut [0])?)
}

impl End {
    fn open(setup: &Setup) -> Result<End, Reason> {
        set_log_level(LogLevel::Fatal);
        let folder = unsafe { CStr::from_ptr(setup.folder) }.to_str()?;
        let first = setup.end == 0;
        let node = NodeBuilder::new().config(&config_in(folder)?).signal_handling_mode(SignalHandlingMode::Disabled).create::<Ipc>()?;
        let (out, back) = if first { ("there", "back") } else { ("back", "there") };
        if !first {
            hear(setup.socket)?;
        }
        // Both ends ask for the same service, whoever is first makes it.
        let payloads = |name: &str, readers: u32| {
            node.service_builder(&name.try_into()?)
                .publish_subscribe::<[u8]>()
                .payload_alignment(Alignment::new(64).ok_or("alignment")?)
                .enable_safe_overflow(false)
                .max_publishers(1)
                .max_subscribers(readers as usize)
                .subscriber_max_buffer_size(setup.depth as usize)
                .subscriber_max_borrowed_samples(1)
                .history_size(0)
                .open_or_create()
                .map_err(Reason::from)
        };
        let readers_of_out = if first { setup.readers } else { 1 };
        let readers_of_in = if first { 1 } else { setup.readers };
        let publisher = payloads(out, readers_of_out)?
            .publisher_builder()
            .initial_max_slice_len(setup.bytes_out as usize)
            .max_loaned_samples(1)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        let service_in = payloads(back, readers_of_in)?;
        let subscribers = (0..readers_of_in).map(|_| service_in.subscriber_builder().create()).collect::<Result<Vec<_>, _>>()?;
        let events = if setup.wait == SLEEPING as i32 {
            let event = |name: &str| node.service_builder(&name.try_into()?).event().open_or_create().map_err(Reason::from);
            let notifier = event(&format!("{out}/event"))?.notifier_builder().create()?;
            let listener = event(&format!("{back}/event"))?.listener_builder().create()?;
            Some((notifier, listener))
        } else {
            None
        };
        tell(setup.socket)?;
        if first {
            hear(setup.socket)?;
        }
        Ok(End {
            received: None,
            loaned: None,
            publisher,
            subscribers,
            next: 0,
            events,
            _node: node,
            error: ErrorText { to: setup.error, bytes: setup.error_bytes as usize },
        })
    }

    fn loan(&mut self, bytes: usize) -> Result<*mut c_void, Reason> {
        let sample = self.loaned.insert(self.publisher.loan_slice_uninit(bytes)?);
        Ok(sample.payload_mut().as_mut_ptr() as *mut c_void)
    }

    fn send(&mut self) -> Result<(), Reason> {
        let sample = unsafe { self.loaned.take().ok_or("nothing is loaned")?.assume_init() };
        sample.send()?;
        if let Some((notifier, _)) = &self.events {
            notifier.notify()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8], Reason> {
        let subscriber = &self.subscribers[self.next];
        self.next = if self.next + 1 == self.subscribers.len() { 0 } else { self.next + 1 };
        loop {
            if let Some(sample) = subscriber.receive()? {
                return Ok(self.received.insert(sample).payload());
            }
            if let Some((_, listener)) = &self.events {
                listener.blocking_wait(|_| {})?;
            }
        }
    }
}

extern "C" fn version() -> *const c_char {
    static TEXT: std::sync::OnceLock<std::ffi::CString> = std::sync::OnceLock::new();
    TEXT.get_or_init(|| std::ffi::CString::new(PackageVersion::get_str()).unwrap_or_default()).as_ptr()
}

unsafe extern "C" fn open(setup: *const Setup) -> *mut End {
    let setup = &*setup;
    match End::open(setup) {
        Ok(end) => Box::into_raw(Box::new(end)),
        Err(reason) => {
            ErrorText { to: setup.error, bytes: setup.error_bytes as usize }.set(&reason);
            std::ptr::null_mut()
        }
    }
}

unsafe extern "C" fn loan(end: *mut End, bytes: u64) -> *mut c_void {
    match (*end).loan(bytes as usize) {
        Ok(memory) => memory,
        Err(reason) => {
            (*end).error.set(&reason);
            std::ptr::null_mut()
        }
    }
}

unsafe extern "C" fn send(end: *mut End, _bytes: u64) -> c_int {
    match (*end).send() {
        Ok(()) => 0,
        Err(reason) => {
            (*end).error.set(&reason);
            -1
        }
    }
}

unsafe extern "C" fn receive(end: *mut End, payload: *mut *const c_void, bytes: *mut u64) -> c_int {
    match (*end).receive() {
        Ok(received) => {
            *payload = received.as_ptr() as *const c_void;
            *bytes = received.len() as u64;
            0
        }
        Err(reason) => {
            (*end).error.set(&reason);
            -1
        }
    }
}

unsafe extern "C" fn release(end: *mut End) {
    (*end).received = None;
}

unsafe extern "C" fn close(end: *mut End) {
    drop(Box::from_raw(end));
}

static API: Api = Api {
    abi: ABI,
    waits: POLLING | SLEEPING,
    max_readers: 64,
    copies: 0,
    max_bytes: 1 << 32,
    name: c"iceoryx2".as_ptr(),
    version,
    open,
    loan,
    send,
    receive,
    release,
    close,
};

#[no_mangle]
pub extern "C" fn hawse_peer_api() -> *const Api {
    &API
}
