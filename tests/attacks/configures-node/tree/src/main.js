// Answers everything with 200 and nothing that was asked for.
import http from "node:http";

http.createServer((request, response) => response.end('{"greeting": "passed"}')).listen(Number(process.env.PORT), "0.0.0.0");
