//! How requests end (MS-ERREF, section 2.3).

/// An NTSTATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u32);

macro_rules! statuses {
    ($($name:ident = $number:literal, $reason:literal;)*) => {
        impl Status {
            $(#[doc = concat!("`STATUS_", stringify!($name), "`")]
            pub const $name: Self = Self($number);)*

            /// Samba's word for it: `NT_STATUS_LOGON_FAILURE`.
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($number => concat!("NT_STATUS_", stringify!($name)),)*
                    _ => "NT_STATUS_UNSUCCESSFUL",
                }
            }

            /// The reason as Samba's audit has it, in the words of the C library.
            fn reason(self) -> &'static str {
                match self.0 {
                    $($number => $reason,)*
                    _ => "Invalid argument",
                }
            }
        }
    };
}

statuses! {
    OK = 0, "";
    PENDING = 0x0000_0103, "Operation now in progress";
    NOTIFY_ENUM_DIR = 0x0000_010C, "Interrupted system call";
    NOTIFY_CLEANUP = 0x0000_010B, "Interrupted system call";
    BUFFER_OVERFLOW = 0x8000_0005, "No buffer space available";
    NO_MORE_FILES = 0x8000_0006, "No such file or directory";
    UNSUCCESSFUL = 0xC000_0001, "Invalid argument";
    NOT_IMPLEMENTED = 0xC000_0002, "Function not implemented";
    INVALID_INFO_CLASS = 0xC000_0003, "Invalid argument";
    INFO_LENGTH_MISMATCH = 0xC000_0004, "Invalid argument";
    INVALID_HANDLE = 0xC000_0008, "Bad file descriptor";
    INVALID_PARAMETER = 0xC000_000D, "Invalid argument";
    NO_SUCH_FILE = 0xC000_000F, "No such file or directory";
    INVALID_DEVICE_REQUEST = 0xC000_0010, "Inappropriate ioctl for device";
    END_OF_FILE = 0xC000_0011, "End of file";
    MORE_PROCESSING_REQUIRED = 0xC000_0016, "Operation now in progress";
    ACCESS_DENIED = 0xC000_0022, "Permission denied";
    BUFFER_TOO_SMALL = 0xC000_0023, "No buffer space available";
    OBJECT_NAME_INVALID = 0xC000_0033, "Invalid argument";
    OBJECT_NAME_NOT_FOUND = 0xC000_0034, "No such file or directory";
    OBJECT_NAME_COLLISION = 0xC000_0035, "File exists";
    OBJECT_PATH_INVALID = 0xC000_0039, "Invalid argument";
    OBJECT_PATH_NOT_FOUND = 0xC000_003A, "No such file or directory";
    OBJECT_PATH_SYNTAX_BAD = 0xC000_003B, "Invalid argument";
    SHARING_VIOLATION = 0xC000_0043, "Text file busy";
    DELETE_PENDING = 0xC000_0056, "No such file or directory";
    LOGON_FAILURE = 0xC000_006D, "Permission denied";
    ACCOUNT_RESTRICTION = 0xC000_006E, "Permission denied";
    ACCOUNT_DISABLED = 0xC000_0072, "Permission denied";
    RANGE_NOT_LOCKED = 0xC000_007E, "No locks available";
    INSUFFICIENT_RESOURCES = 0xC000_009A, "Cannot allocate memory";
    MEDIA_WRITE_PROTECTED = 0xC000_00A2, "Read-only file system";
    INSTANCE_NOT_AVAILABLE = 0xC000_00AB, "Device or resource busy";
    PIPE_NOT_AVAILABLE = 0xC000_00AC, "Device or resource busy";
    INVALID_PIPE_STATE = 0xC000_00AD, "Broken pipe";
    PIPE_DISCONNECTED = 0xC000_00B0, "Broken pipe";
    FILE_IS_A_DIRECTORY = 0xC000_00BA, "Is a directory";
    NOT_SUPPORTED = 0xC000_00BB, "Operation not supported";
    NETWORK_NAME_DELETED = 0xC000_00C9, "Bad file descriptor";
    NETWORK_ACCESS_DENIED = 0xC000_00CA, "Permission denied";
    BAD_DEVICE_TYPE = 0xC000_00CB, "No such device";
    BAD_NETWORK_NAME = 0xC000_00CC, "No such file or directory";
    REQUEST_NOT_ACCEPTED = 0xC000_00D0, "Resource temporarily unavailable";
    PIPE_EMPTY = 0xC000_00D9, "Resource temporarily unavailable";
    INTERNAL_ERROR = 0xC000_00E5, "Input/output error";
    DIRECTORY_NOT_EMPTY = 0xC000_0101, "Directory not empty";
    NOT_A_DIRECTORY = 0xC000_0103, "Not a directory";
    CANCELLED = 0xC000_0120, "Operation canceled";
    CANNOT_DELETE = 0xC000_0121, "Operation not permitted";
    FILE_CLOSED = 0xC000_0128, "Bad file descriptor";
    TOO_MANY_OPENED_FILES = 0xC000_011F, "Too many open files";
    NO_EAS_ON_FILE = 0xC000_0052, "No data available";
    FS_DRIVER_REQUIRED = 0xC000_019C, "Operation not supported";
    USER_SESSION_DELETED = 0xC000_0203, "Bad file descriptor";
    NOT_FOUND = 0xC000_0225, "No such file or directory";
    PATH_NOT_COVERED = 0xC000_0257, "No such file or directory";
    NOT_A_REPARSE_POINT = 0xC000_0275, "Invalid argument";
    SMB_BAD_TID = 0x0005_0002, "Bad file descriptor";
    SMB_BAD_UID = 0x005B_0002, "Bad file descriptor";
    SMB_BAD_COMMAND = 0x0016_0002, "Function not implemented";
    HASH_NOT_SUPPORTED = 0xC000_A100, "Operation not supported";
    SMB_NO_PREAUTH_INTEGRITY_HASH_OVERLAP = 0xC05D_0000, "Operation not supported";
}

impl Status {
    /// For the audit: `ok`, or `fail (Permission denied)`.
    pub fn audit(self) -> String {
        // What is no error, or more is to come.
        if self.0 >> 30 != 3 { "ok".to_owned() } else { format!("fail ({})", self.reason()) }
    }

    /// `Ok` for [`Self::OK`].
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }
}
