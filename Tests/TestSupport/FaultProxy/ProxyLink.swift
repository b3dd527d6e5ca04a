import Glibc

/// One connection through the proxy: its two sockets, and what is under way between them. Confined to the proxy's thread.
final class ProxyLink {
    /// What becomes of the next answer.
    enum Fate {
        case passes
        case cuts(forGood: Bool)
        case truncates(to: Int)
        /// It goes into the list of late replies, and to nobody else.
        case isNoted
    }

    /// Bytes on their way to one side.
    struct Pipe {
        struct Chunk {
            var bytes: [UInt8]
            /// Not before that moment.
            var dueUs: Int64
            /// Before that moment once so many words have passed altogether.
            var passed: Int?
            /// Not before the test says so.
            var isHeld = false
        }

        var chunks: [Chunk] = []
        /// Nothing more comes.
        var isEnded = false
        var vanishes = false
        /// The socket took less than it was given.
        var isBlocked = false

        mutating func append(_ bytes: [UInt8], dueUs: Int64, passed: Int? = nil, isHeld: Bool = false) {
            if vanishes { return }
            // What comes later on the connection does not overtake what is late on it.
            chunks.append(
                Chunk(bytes: bytes, dueUs: max(dueUs, chunks.last?.dueUs ?? 0), passed: passed, isHeld: isHeld))
        }
    }

    let number: Int
    var client: Int32
    var server: Int32
    var toRedis = Pipe()
    var toClient = Pipe()
    var fate = Fate.passes
    var cutAtUs: Int64?

    init(number: Int, client: Int32, server: Int32) {
        self.number = number
        self.client = client
        self.server = server
    }

    var isOpen: Bool { client >= 0 || server >= 0 }

    func cut() {
        closeClient()
        closeServer()
    }

    /// The client's side ends; what it has said may still reach Redis.
    func closeClient() {
        if client >= 0 { close(client) }
        client = -1
        toRedis.isEnded = true
        toClient.chunks = []
    }

    func closeServer() {
        if server >= 0 { close(server) }
        server = -1
        toClient.isEnded = true
        toRedis.chunks = []
    }

    /// Ends what has nothing left to carry.
    func tidy() {
        if client >= 0, toClient.isEnded, toClient.chunks.isEmpty { closeClient() }
        if server >= 0, toRedis.isEnded, toRedis.chunks.isEmpty {
            if case .isNoted = fate { return }
            closeServer()
        }
    }

    /// What a socket has: nil for none now, empty for its end.
    static func receive(_ descriptor: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = read(descriptor, &bytes, bytes.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return nil }
        return Array(bytes.prefix(max(0, count)))
    }
}
