// Buys pictures as a program on Vercel's AI SDK would; runs where `ai` and `@ai-sdk/bytedance` are.
// Reads `{"provider": …, "model": …, "ask": …}` from stdin; writes JSON.
import { createByteDance } from "@ai-sdk/bytedance";
import { generateImage } from "ai";
import { readFileSync } from "node:fs";

const given = JSON.parse(readFileSync(0, "utf8"));
const model = createByteDance(given.provider).image(given.model);
try {
  const { images, warnings } = await generateImage({ model, maxRetries: 0, ...given.ask });
  console.log(JSON.stringify({ images: images.map((image) => image.base64), warnings }));
} catch (error) {
  console.log(JSON.stringify({ error: error.name, text: error.message, status: error.statusCode }));
}
