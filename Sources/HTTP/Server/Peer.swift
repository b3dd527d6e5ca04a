/// Who is at the other end of a connection.
public enum Peer: Sendable, Equatable {
    /// A process on this machine, through a unix socket.
    case unix
    /// A numeric IPv4 or IPv6 address, as the operating system writes it.
    case address(String)
}
