import Bytes
import JSON

/// The answers that the connection gives by itself.
enum RefusalAnswer {
    static func append(_ refusal: Refusal, to output: ByteBuffer, _ server: HTTPServer) {
        let body = ByteBuffer(capacity: 256)
        var json = JSONWriter(body)
        ProblemBody.begin(&json, status: refusal.status, detail: ByteView(refusal.detail))
        json.endObject()
        Status.appendLine(refusal.status, to: output)
        output.append(server.date.view(nowUs: server.loop.nowUs))
        output.append("Content-Type: ")
        output.append(ProblemBody.contentType)
        output.append("\r\nContent-Length: ")
        output.append(decimal: body.count)
        if refusal.status == 503 { output.append("\r\nRetry-After: 1") }
        output.append("\r\nConnection: close\r\n\r\n")
        output.append(body.view)
    }
}
