//! What Microsoft ISA Server 2000 answers: its reasons stand in brackets behind the status, as scanners know it. No
//! such server was at hand: status lines and order of fields are those that nmap's probes and reports of
//! administrators show, the page has the shape of the product's, in words of our own.

use super::{
    Server,
    squid::{Fault, Question, REFUSED},
};

impl Server {
    /// The whole answer.
    pub(super) fn isa(&self, fault: &Fault, question: &Question<'_>) -> Vec<u8> {
        let (status, reason, code) = match fault {
            Fault::AuthenticationRequired(_) => (
                "407 Proxy Authentication Required",
                "The ISA Server requires authorization to fulfill the request. Access to the Web Proxy service is denied.",
                12209,
            ),
            Fault::Unreadable(_) | Fault::InvalidRequest(_) => {
                ("400 Bad Request", "The data is invalid.", 13)
            }
            Fault::UnsupportedVersion => {
                ("505 HTTP Version Not Supported", "The HTTP version is not supported.", 12152)
            }
            Fault::InvalidUrl | Fault::UnsupportedRequest => (
                "502 Proxy Error",
                "The Uniform Resource Locator (URL) does not use a recognized protocol. Either the protocol is not \
                 supported or the request was not typed correctly. Confirm that a valid protocol is in use (for \
                 example, HTTP for a Web request).",
                12006,
            ),
            Fault::AccessDenied => (
                "403 Forbidden",
                "The ISA Server denies the specified Uniform Resource Locator (URL).",
                12202,
            ),
            Fault::ConnectFail(_, REFUSED) => {
                ("502 Proxy Error", "The remote server has actively refused the connection.", 10061)
            }
            Fault::ConnectFail(..) => ("502 Proxy Error", "The remote host cannot be reached.", 10065),
            Fault::NoSuchName(_) => ("502 Proxy Error", "The host was not found.", 11001),
        };
        let page = page(status, reason, code, &self.name);
        let connection = if question.keep { "Keep-Alive" } else { "close" };
        let mut head =
            format!("HTTP/1.1 {status} ( {reason}  )\r\nVia: 1.1 {}\r\n", self.name.to_uppercase());
        if let Fault::AuthenticationRequired(challenges) = fault {
            for challenge in challenges {
                head.push_str(&format!("Proxy-Authenticate: {challenge}\r\n"));
            }
        }
        head.push_str(&format!(
            "Pragma: no-cache\r\nCache-Control: no-cache\r\nContent-Type: text/html\r\nConnection: \
             {connection}\r\nProxy-Connection: {connection}\r\nContent-Length: {}\r\n\r\n",
            page.len()
        ));
        if question.method != b"HEAD" {
            head.push_str(&page);
        }
        head.into_bytes()
    }
}

fn page(status: &str, reason: &str, code: u16, host: &str) -> String {
    format!(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\r\n<HTML>\r\n<HEAD>\r\n<TITLE>The page cannot be \
         displayed</TITLE>\r\n<META HTTP-EQUIV=\"Content-Type\" CONTENT=\"text/html; charset=UTF-8\">\r\n</HEAD>\r\n\
         <BODY BGCOLOR=\"#FFFFFF\">\r\n<H1>The page cannot be displayed</H1>\r\n<P>There is a problem with the page \
         you are trying to reach.</P>\r\n<HR>\r\n<P>{status} - {reason} ({code})<BR>\r\nInternet Security and \
         Acceleration Server</P>\r\n<P>Server: {}</P>\r\n</BODY>\r\n</HTML>\r\n",
        host.to_uppercase()
    )
}
