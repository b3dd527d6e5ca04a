/// A mail server that says what a test wants it to say.
public final class SMTPPeer: Sendable {
    /// What each connection was told, with its number: commands, and `DATA` lines as one entry each.
    public let heard: Journal<String>
    /// The messages that were taken, as they travelled.
    public let messages: Journal<String>
    /// Numbers of the connections that were made.
    public let begun: Journal<Int>
    /// Numbers of the connections that have ended.
    public let ended: Journal<Int>
    private let peer: ScriptedPeer

    public var port: Int { peer.port }
    public var url: String { "smtp://127.0.0.1:\(port)" }

    /// - Parameter reply: to a command (`.` after a message, empty at the beginning); nil: the usual one; empty: none ever.
    public init(_ reply: @escaping @Sendable (String) -> String? = { _ in nil }) throws {
        let heard = Journal<String>()
        let messages = Journal<String>()
        let begun = Journal<Int>()
        let ended = Journal<Int>()
        self.heard = heard
        self.messages = messages
        self.begun = begun
        self.ended = ended
        peer = try ScriptedPeer { socket, number in
            begun.add(number)
            defer { ended.add(number) }
            func answer(_ command: String) throws {
                let text = reply(command) ?? SMTPPeer.usual(command)
                if text.isEmpty { _ = try? socket.read(1_000_000) }
                try socket.send(Array((text + "\r\n").utf8))
            }
            try answer("")
            while true {
                let line = try socket.readLine()
                heard.add(line)
                try answer(line)
                if line == "QUIT" { return }
                guard line == "DATA", reply(line)?.hasPrefix("3") ?? true else { continue }
                var message = ""
                while true {
                    let line = try socket.readLine()
                    if line == "." { break }
                    message += line + "\n"
                }
                if reply(".")?.hasPrefix("2") ?? true { messages.add(message) }
                try answer(".")
            }
        }
    }

    private static func usual(_ command: String) -> String {
        switch command.prefix(4) {
        case "": "220 peer ready"
        case "EHLO": "250-peer\r\n250 8BITMIME"
        case "DATA": "354 go on"
        case "QUIT": "221 bye"
        case ".": "250 2.0.0 taken as 42"
        default: "250 2.1.0 ok"
        }
    }
}
