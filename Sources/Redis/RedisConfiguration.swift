import EventLoops

/// Which Redis, and how to be let in.
public struct RedisConfiguration: Sendable, Equatable {
    public enum Address: Sendable, Equatable {
        /// A name or a numeric address, and a port.
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    public var address: Address
    public var user: String?
    public var password: String?
    public var database: Int
    /// For one attempt to connect and to be let in.
    public var connectTimeoutUs: Int64 = 2_000_000
    /// A connection with commands waiting and no byte for this long is cut: the other side may be gone unnoticed.
    public var stallUs: Int64 = 5_000_000
    /// Commands that may wait on one connection.
    public var maxPending = 65_536

    /// What is wrong with a URL.
    public struct URLError: Error, CustomStringConvertible, Equatable {
        public let description: String
    }

    /// - Parameter url: `redis://[user:password@]host[:port][/database]` or `unix:///path[?db=N]`, user and password
    ///   percent-encoded.
    public init(url: String) throws(URLError) {
        if url.hasPrefix("unix://") {
            let parts = url.dropFirst("unix://".count).split(separator: "?", maxSplits: 1)
            var path = parts.first.map(String.init) ?? ""
            (user, password) = (nil, nil)
            if let at = path.lastIndex(of: "@"), !path.hasPrefix("/") {
                (user, password) = try RedisConfiguration.credentials(path[..<at])
                path = String(path[path.index(after: at)...])
            }
            guard path.hasPrefix("/"), path.utf8.count < 108 else {
                throw URLError(description: "must name a socket by its absolute path, below 108 bytes")
            }
            address = .unix(path: path)
            let query = parts.count == 2 ? String(parts[1]) : "db=0"
            guard query.hasPrefix("db="), let database = RedisConfiguration.number(query.dropFirst(3)) else {
                throw URLError(description: "may end with ?db=N and nothing else")
            }
            self.database = database
            return
        }
        guard url.hasPrefix("redis://") else {
            throw URLError(description: "must begin with redis:// or unix://")
        }
        var rest = url.dropFirst("redis://".count)
        (user, password) = (nil, nil)
        if let at = rest.lastIndex(of: "@") {
            (user, password) = try RedisConfiguration.credentials(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let (host, port) = try RedisConfiguration.hostAndPort(String(parts[0]))
        address = .tcp(host: host, port: port)
        let text = parts.count == 2 && !parts[1].isEmpty ? parts[1] : "0"
        guard let database = RedisConfiguration.number(text) else {
            // Not what stands there, which may be a part of a password.
            throw URLError(description: "must have nothing but a database number after the host")
        }
        self.database = database
    }

    private static func credentials(_ text: Substring) throws(URLError) -> (user: String?, password: String?) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let user = decoded(parts[0]), let password = decoded(parts[1]), !password.isEmpty else {
            throw URLError(description: "must give credentials as user:password@ or :password@")
        }
        return (user.isEmpty ? nil : user, password)
    }

    private static func hostAndPort(_ text: String) throws(URLError) -> (String, Int) {
        var host = text[...]
        var rest: Substring = ""
        if text.hasPrefix("["), let close = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<close]
            rest = text[text.index(after: close)...]
        } else if let colon = text.firstIndex(of: ":") {
            (host, rest) = (text[..<colon], text[colon...])
        }
        let port = rest.isEmpty ? 6379 : rest.hasPrefix(":") ? number(rest.dropFirst()) : nil
        guard let port, (1...65_535).contains(port), !host.isEmpty,
            host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"/?#[]@".utf8.contains($0) })
        else {
            throw URLError(
                description: "must name a host and a port from 1 to 65535, an IPv6 address in square brackets")
        }
        return (String(host), port)
    }

    /// Digits only.
    private static func number(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
            guard digits.count == 2 else { return nil }
            bytes.append(UInt8(digits[0] << 4 | digits[1]))
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension RedisConfiguration: CustomStringConvertible {
    /// The URL without credentials.
    public var description: String {
        switch address {
        case .unix(let path): "unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
        case .tcp(let host, let port):
            "redis://\(host.contains(":") ? "[\(host)]" : host):\(port)" + (database == 0 ? "" : "/\(database)")
        }
    }
}
