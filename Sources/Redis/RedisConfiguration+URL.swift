extension RedisConfiguration {
    /// What is wrong with a URL. Never what stands there, which may be a part of a password.
    public struct URLError: Error, CustomStringConvertible, Equatable {
        public let description: String
    }

    /// - Parameter url: one of, with user and password percent-encoded,
    ///   `redis://[user:password@]host[:6379][/database]`,
    ///   `unix://[user:password@]/path[?db=N]`,
    ///   `redis+sentinel://[user:password@]host[:26379],…/master[/database][?sentinelPassword=…]`,
    ///   `redis+cluster://[user:password@]host[:6379],…`; and with `rediss` instead of `redis` over TLS, where
    ///   `?ca=/path` names a file of the certificates that are trusted instead of the system's.
    public init(url: String) throws(URLError) {
        guard let colon = url.firstRange(of: "://") else { throw RedisConfiguration.unknownScheme }
        let scheme = url[..<colon.lowerBound]
        let parts = url[colon.upperBound...].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = try RedisConfiguration.parameters(parts.count == 2 ? parts[1] : "")
        if scheme == "unix" {
            try self.init(unix: parts[0], query)
        } else {
            try self.init(hosts: parts[0], scheme, query)
        }
    }

    private static let unknownScheme = URLError(
        description:
            "must begin with redis://, rediss://, unix://, redis+sentinel://, redis+cluster:// or these with rediss+")

    static let withoutTLS = URLError(
        description:
            "needs a program that was built with a hiredis that has TLS; without it, put a stunnel before Redis")

    private init(unix rest: Substring, _ query: [Substring: String]) throws(URLError) {
        var path = rest
        var (user, password): (String?, String?) = (nil, nil)
        if let at = path.lastIndex(of: "@"), !path.hasPrefix("/") {
            (user, password) = try RedisConfiguration.credentials(path[..<at])
            path = path[path.index(after: at)...]
        }
        guard path.hasPrefix("/"), path.utf8.count < 108 else {
            throw URLError(description: "must name a socket by its absolute path, below 108 bytes")
        }
        guard query.keys.allSatisfy({ $0 == "db" }),
            let database = RedisConfiguration.number(query["db", default: "0"][...])
        else { throw URLError(description: "may end with ?db=N and nothing else") }
        self.init(topology: .one(.unix(path: String(path))), user: user, password: password, database: database)
    }

    private init(hosts: Substring, _ scheme: Substring, _ query: [Substring: String]) throws(URLError) {
        let words = scheme.split(separator: "+", omittingEmptySubsequences: false)
        guard words.count <= 2, words[0] == "redis" || words[0] == "rediss",
            words.count == 1 || words[1] == "sentinel" || words[1] == "cluster"
        else { throw RedisConfiguration.unknownScheme }
        let kind = words.count == 2 ? words[1] : ""
        let isEncrypted = words[0] == "rediss"
        var rest = hosts
        var (user, password): (String?, String?) = (nil, nil)
        if let at = rest.lastIndex(of: "@") {
            (user, password) = try RedisConfiguration.credentials(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        var path = rest.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        let list = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)[0]
        var addresses: [Address] = []
        for name in list.split(separator: ",", omittingEmptySubsequences: false) {
            let usual = kind == "sentinel" ? 26_379 : 6379
            addresses.append(try RedisConfiguration.hostAndPort(name, usual: usual))
        }
        let topology: Topology
        switch kind {
        case "sentinel":
            guard let name = path.popFirst(), !name.isEmpty,
                name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "@") })
            else { throw URLError(description: "must name the master behind the Sentinels: redis+sentinel://…/name") }
            topology = .sentinel(addresses, master: String(name))
        case "cluster": topology = .cluster(addresses)
        default:
            guard addresses.count == 1 else { throw URLError(description: "must name one host") }
            topology = .one(addresses[0])
        }
        let number = path.popFirst() ?? ""
        guard path.isEmpty, let database = RedisConfiguration.number(number.isEmpty ? "0" : number),
            kind != "cluster" || database == 0
        else {
            throw URLError(
                description: kind == "cluster"
                    ? "must have nothing after the hosts: a cluster has one database"
                    : "must have nothing but a database number after the host")
        }
        self.init(topology: topology, user: user, password: password, database: database)
        for (name, value) in query {
            switch name {
            case "ca" where isEncrypted && value.hasPrefix("/"): tls = TLS(authorityFile: value)
            case "sentinelPassword" where kind == "sentinel" && !value.isEmpty: sentinelPassword = value
            default: throw URLError(description: "has a parameter behind ? that this kind of URL does not know")
            }
        }
        if isEncrypted, tls == nil { tls = TLS() }
        guard tls == nil || RedisTLS.isAvailable else { throw RedisConfiguration.withoutTLS }
    }

    // MARK: Parts

    private static func parameters(_ text: Substring) throws(URLError) -> [Substring: String] {
        var found: [Substring: String] = [:]
        if text.isEmpty { return found }
        for part in text.split(separator: "&", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard words.count == 2, let value = decoded(words[1]), found.updateValue(value, forKey: words[0]) == nil
            else { throw URLError(description: "must give parameters behind ? as name=value, each once") }
        }
        return found
    }

    private static func credentials(_ text: Substring) throws(URLError) -> (user: String?, password: String?) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let user = decoded(parts[0]), let password = decoded(parts[1]), !password.isEmpty else {
            throw URLError(description: "must give credentials as user:password@ or :password@")
        }
        return (user.isEmpty ? nil : user, password)
    }

    static func hostAndPort(_ text: Substring, usual: Int) throws(URLError) -> Address {
        var host = text
        var rest: Substring = ""
        if text.hasPrefix("["), let close = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<close]
            rest = text[text.index(after: close)...]
        } else if let colon = text.firstIndex(of: ":") {
            (host, rest) = (text[..<colon], text[colon...])
        }
        let port = rest.isEmpty ? usual : rest.hasPrefix(":") ? number(rest.dropFirst()) : nil
        guard let port, (1...65_535).contains(port), !host.isEmpty,
            host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"/?#[]@".utf8.contains($0) })
        else {
            throw URLError(
                description: "must name a host and a port from 1 to 65535, an IPv6 address in square brackets")
        }
        return .tcp(host: String(host), port: port)
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
