//! Real receivers of alerts, as bad as a test wants them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// What was received, in order.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    taken: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Inbox {
    /// How often a message with that text was taken.
    pub fn count(&self, part: &str) -> usize {
        self.taken.lock().unwrap().iter().filter(|message| message.contains(part)).count()
    }

    /// All that was taken.
    pub fn all(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    /// How often somebody tried, whatever came of it.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn ask(&self) -> usize {
        self.asked.fetch_add(1, Ordering::SeqCst)
    }

    fn take(&self, message: String) {
        self.taken.lock().unwrap().push(message);
    }
}

/// What a web server does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Answers with that status; 2xx means that it has taken the message.
    Status(u16),
    /// Takes the message and leaves before it says so.
    Leave,
    /// Holds the connection for ever.
    Never,
}

/// A web server that takes messages. `answer` is asked for each request; it is told how many there were before.
pub fn web(port: u16, answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Inbox {
    serve(port, move |stream, inbox| {
        let mut stream = BufReader::new(stream);
        while let Some(body) = request(&mut stream) {
            match answer(inbox.ask()) {
                Answer::Status(status) => {
                    if (200..300).contains(&status) {
                        inbox.take(body);
                    }
                    let answer = format!("HTTP/1.1 {status} .\r\nContent-Length: 0\r\n\r\n");
                    stream.get_mut().write_all(answer.as_bytes()).ok()?;
                }
                Answer::Leave => {
                    inbox.take(body);
                    return None;
                }
                Answer::Never => loop {
                    thread::park();
                },
            }
        }
        None
    })
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = 0;
    loop {
        let line = line(stream)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(String::from_utf8_lossy(&body).into_owned())
}

/// A mail server that takes everything.
pub fn mail(port: u16) -> Inbox {
    serve(port, |stream, inbox| {
        let mut stream = BufReader::new(stream);
        let say = |stream: &mut BufReader<TcpStream>, text: &str| {
            stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).ok()
        };
        say(&mut stream, "220 mail.example ESMTP")?;
        loop {
            let command = line(&mut stream)?.to_ascii_uppercase();
            match command.split(' ').next()? {
                "QUIT" => return say(&mut stream, "221 bye"),
                "DATA" => {
                    inbox.ask();
                    say(&mut stream, "354 go on")?;
                    let mut message = String::new();
                    loop {
                        let line = line(&mut stream)?;
                        if line == "." {
                            break;
                        }
                        message.push_str(&line);
                        message.push('\n');
                    }
                    inbox.take(message);
                    say(&mut stream, "250 taken")?;
                }
                _ => say(&mut stream, "250 mail.example")?,
            }
        }
    })
}

fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(count) if count > 0 => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => None,
    }
}

/// Serves each connection on a thread of its own, as long as this process lives.
fn serve(port: u16, each: impl Fn(TcpStream, &Inbox) -> Option<()> + Send + Sync + 'static) -> Inbox {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let inbox = Inbox::default();
    let shared = inbox.clone();
    let each = Arc::new(each);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (each, inbox) = (Arc::clone(&each), shared.clone());
            thread::spawn(move || each(stream, &inbox));
        }
    });
    inbox
}
